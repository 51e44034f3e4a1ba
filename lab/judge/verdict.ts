import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';

/** Version of the JSON in `verdict.json`; a change that breaks readers changes the number. */
export const VERDICT_SCHEMA = 'ambient-lab/verdict/1';

/** What a check came to. Missing evidence is never *holds*. */
export type Outcome = 'holds' | 'refuted' | 'could not run';

/** Frames a check rests on: a file of the run and frame numbers in it, as Wireshark counts them. */
export interface FrameRef {
  readonly file: string;
  readonly frames: readonly number[];
}

export interface Check {
  /** The expectation: `status`, `encryptedBetween`, `mtls`, … */
  readonly name: string;
  readonly outcome: Outcome;
  /** One line for people, complete in itself. */
  readonly text: string;
  readonly wanted: string;
  readonly seen: string;
  /** What is missing, for *could not run*. */
  readonly needs?: string;
  readonly frames: readonly FrameRef[];
}

export interface ScenarioVerdict {
  readonly name: string;
  readonly outcome: Outcome;
  readonly checks: readonly Check[];
  /** Indices into `RunFacts.paths` of the requests it was judged on. */
  readonly paths: readonly number[];
}

export interface RunVerdict {
  readonly schema: typeof VERDICT_SCHEMA;
  readonly lab: string;
  /** How the Geneve tunnels were made, in era geneve. */
  readonly tunnels?: TunnelKind;
  readonly outcome: Outcome;
  readonly scenarios: readonly ScenarioVerdict[];
}

/** The worst of several: a refutation outweighs what could not run, which outweighs what held. */
export function worstOutcome(outcomes: readonly Outcome[]): Outcome {
  if (outcomes.includes('refuted')) return 'refuted';
  return outcomes.length === 0 || outcomes.includes('could not run') ? 'could not run' : 'holds';
}

/** Exit code of a program that ends with this outcome: 0 held, 1 refuted, 3 could not run. */
export function exitCodeOf(outcome: Outcome): 0 | 1 | 3 {
  switch (outcome) {
    case 'holds':
      return 0;
    case 'refuted':
      return 1;
    case 'could not run':
      return 3;
  }
}
