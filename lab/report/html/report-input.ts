import type { GridResult } from '../../grid/grid-result.ts';
import type { RunFacts } from '../../facts/facts.ts';
import type { RunViews } from '../../facts/read-views.ts';
import type { FrameRef, Outcome, ScenarioVerdict } from '../../judge/verdict.ts';
import type { Plan } from '../../plan/plan.ts';
import type { BenchReport } from '../bench.ts';

/**
 * All that an HTML report is made of, as plain data, so that every verb can hand over what it has.
 * Absent parts have no section.
 */
export interface HtmlReport {
  readonly verb: string;
  /** Heading of the page. */
  readonly title: string;
  /** Absent where nothing was judged. */
  readonly outcome?: Outcome;
  /** What was run, where and with what: a line each, in this order. */
  readonly about: readonly AboutLine[];
  readonly world?: WorldReport;
  /** Stands in place of the world's verdicts: its cells are the world's scenarios. */
  readonly grid?: GridResult;
  readonly claims?: ClaimsReport;
  readonly comparison?: ComparisonReport;
  readonly rules?: readonly RulesReport[];
  readonly bench?: BenchReport;
}

export interface AboutLine {
  readonly name: string;
  readonly value: string;
}

/** A lab that ran, what was recorded in it, and what was judged. */
export interface WorldReport {
  readonly plan: Plan;
  readonly facts: RunFacts;
  readonly scenarios: readonly ScenarioVerdict[];
  /** Headers of the frames; without them hops open to their facts only. */
  readonly views?: RunViews;
  /** The run directory as seen from the page: `.` beside it. */
  readonly capturesAt: string;
}

/** Rules of one place in walking order, as the kernel had them. */
export interface RulesReport {
  readonly netns: string;
  readonly about: string;
  readonly rows: readonly RuleRow[];
}

export interface RuleRow {
  readonly hook: string;
  readonly table: string;
  readonly chain: string;
  readonly text: string;
  readonly packets?: number;
  readonly why?: string;
}

/** Claims and what became of them, era by era. */
export interface ClaimsReport {
  /** Columns; every row has a result for some of them. */
  readonly eras: readonly string[];
  readonly rows: readonly ClaimRow[];
}

export interface ClaimRow {
  readonly id: string;
  readonly statement: string;
  /** Where it was claimed. */
  readonly source?: string;
  readonly results: readonly ClaimResult[];
}

export interface ClaimResult {
  readonly era: string;
  readonly outcome: Outcome;
  /** Evidence in one line or more. */
  readonly text: string;
  /** What is missing, for *could not run*. */
  readonly needs?: string;
  readonly frames?: readonly FrameRef[];
}

/** Two things side by side, such as two eras. */
export interface ComparisonReport {
  readonly left: string;
  readonly right: string;
  readonly sections: readonly ComparisonSection[];
}

export interface ComparisonSection {
  /** `rules of demo/sleep`, `sysctls`, `packet path`. */
  readonly title: string;
  readonly rows: readonly ComparisonRow[];
}

/** `same`: both sides have it; `changed`: they have it differently; the others: only one has it. */
export interface ComparisonRow {
  readonly kind: 'same' | 'changed' | 'left' | 'right';
  readonly left?: string;
  readonly right?: string;
  readonly why?: string;
}
