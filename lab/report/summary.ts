import type { RunFacts } from '../facts/facts.ts';
import type { RunVerdict, ScenarioVerdict } from '../judge/verdict.ts';
import { tunnelKindText } from './leg-words.ts';
import { WRAPPING_WORDS } from './wrapping.ts';
import { counted, pad, styled, type TextOptions, wrap } from './text.ts';

export interface SummaryOptions extends TextOptions {
  /** Columns that a row may take; as many as its name takes unless given. */
  readonly width?: number;
}

/** The table of all scenarios of a run, and one line that sums it up. */
export function renderSummary(
  verdict: RunVerdict,
  facts: RunFacts,
  options: SummaryOptions,
): string {
  const rows = verdict.scenarios.map((scenario) => rowOf(scenario, facts));
  const head: Row = ['', 'scenario', 'answer', 'wrapped', 'legs', 'hops', 'passes', 'checks'];
  const widths = head.map((_, at) =>
    Math.max(...[head, ...rows].map((row) => [...(row[at] ?? '')].length)),
  );
  const others = widths.slice(2).reduce((sum, width) => sum + width + 2, 0);
  const room = Math.max(NARROWEST_NAME, (options.width ?? Infinity) - others - MARK_COLUMNS);
  widths[1] = Math.min(widths[1] ?? 0, room);
  const lines = rows.flatMap((row, index) => {
    const [mark = '', , ...cells] = row.map((cell, at) => pad(cell, widths[at] ?? 0));
    const [name = '', ...more] = wrap(row[1] ?? '', widths[1] ?? 0, '');
    const style = STYLES[verdict.scenarios[index]?.outcome ?? 'could not run'];
    const first = ` ${styled(mark, style, options)} ${pad(name, widths[1] ?? 0)}  ${cells.join('  ')}`;
    return [first.trimEnd(), ...more.map((line) => `   ${line}`)];
  });
  const header = ` ${head.map((cell, at) => pad(cell, widths[at] ?? 0)).join('  ')}`.trimEnd();
  return [
    styled(header.replace('   ', '  '), 'dim', options),
    ...lines,
    '',
    totals(verdict, facts, options),
  ].join('\n');
}

/** Blank, mark, blank. */
const MARK_COLUMNS = 3;
const NARROWEST_NAME = 24;

type Row = readonly string[];

const STYLES = { holds: 'green', refuted: 'red', 'could not run': 'yellow' } as const;
const MARKS = { holds: '✔', refuted: '✘', 'could not run': '?' } as const;

function rowOf(scenario: ScenarioVerdict, facts: RunFacts): Row {
  const path = facts.paths[scenario.paths[0] ?? -1];
  const held = scenario.checks.filter(({ outcome }) => outcome === 'holds').length;
  const { status, outcome } = path?.request ?? {};
  const wrapping = path?.legs.find(({ encapsulation }) => encapsulation !== 'plain')?.encapsulation;
  return [
    MARKS[scenario.outcome],
    scenario.name,
    status === undefined ? (outcome ?? '') : String(status),
    path === undefined ? '' : WRAPPING_WORDS[wrapping ?? 'plain'],
    String(path?.legs.length ?? ''),
    String(path?.hops ?? ''),
    String(path?.passes ?? ''),
    `${held}/${scenario.checks.length}`,
  ];
}

function totals(verdict: RunVerdict, facts: RunFacts, options: TextOptions): string {
  const count = (outcome: ScenarioVerdict['outcome']): number =>
    verdict.scenarios.filter((scenario) => scenario.outcome === outcome).length;
  const frames = facts.interfaces.reduce((sum, each) => sum + each.frames, 0);
  const drops = facts.interfaces.reduce((sum, each) => sum + each.kernelDrops, 0);
  const parts = [
    `${count('holds')} of ${counted(verdict.scenarios.length, 'scenario')} held`,
    ...(count('refuted') > 0 ? [`${count('refuted')} refuted`] : []),
    ...(count('could not run') > 0 ? [`${count('could not run')} could not run`] : []),
    `${counted(frames, 'frame')} on ${counted(facts.interfaces.length, 'interface')}`,
    drops === 0 ? 'none lost' : `${drops} LOST`,
  ];
  const tunnels = tunnelKindText(facts);
  const line = styled(parts.join(' · '), STYLES[verdict.outcome], options);
  return tunnels === undefined ? line : `${line}\n${tunnels}`;
}
