import type { Era } from '../../dataplane/redirect/era.ts';
import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import type { BlockDifference } from './compare.ts';

/** Version of the JSON that `regress --json` prints; a change that breaks readers changes the number. */
export const REGRESS_SCHEMA = 'ambient-lab/regress/1';

/**
 * What one scenario came to. Only `same` is a pass. `new`: the baseline has it not; `vanished`: only
 * the baseline has it; `could not run`: the evidence is not complete, nothing was compared.
 */
export type ScenarioState = BlockDifference['kind'] | 'could not run';

export interface ScenarioResult extends Omit<BlockDifference, 'kind'> {
  readonly state: ScenarioState;
  /** What is missing, for *could not run*. */
  readonly needs?: string;
  /** What of the evidence is missing though it was compared: the baseline says that it is. */
  readonly incomplete?: string;
  /** Expectations of the topology that the packets refute; they are facts of the baseline, too. */
  readonly refuted: readonly string[];
}

/**
 * What one topology in one era came to. `refused`: the two do not go together, and that is what the
 * baseline says; no scenario was run, none counts as passed.
 */
export interface CellResult {
  readonly topology: string;
  readonly era: Era;
  readonly state: 'same' | 'differs' | 'refused' | 'could not run';
  readonly baselineFile: string;
  /** Whether there was such a file. */
  readonly hasBaseline: boolean;
  readonly scenarios: readonly ScenarioResult[];
  /** Why it was refused or could not run, or that it is refused no more. */
  readonly reason?: string;
  /** Where captures are kept, of a cell that is not as its baseline. */
  readonly directory?: string;
  /** How the Geneve tunnels were made, in era geneve. */
  readonly tunnels?: TunnelKind;
  /** `--update` wrote another baseline. */
  readonly isWritten: boolean;
  readonly durationMs: number;
}

export interface RegressResult {
  readonly schema: typeof REGRESS_SCHEMA;
  readonly cells: readonly CellResult[];
  /** Topologies that have no scenario. */
  readonly withoutScenarios: readonly string[];
  /** Baselines that no topology and era belongs to any more. */
  readonly stray: readonly string[];
  readonly isUpdate: boolean;
}

/** Exit code: 1 when anything differs, 3 when something could not run and nothing differs. */
export function exitCodeOfRegress({ cells, stray, isUpdate }: RegressResult): 0 | 1 | 3 {
  const states = cells.map(({ state }) => state);
  const isOff = states.includes('differs') || stray.length > 0;
  if (isOff && !isUpdate) return 1;
  return states.includes('could not run') || cells.length === 0 ? 3 : 0;
}

/** Version of the JSON of `regress --pcap`. */
export const CAPTURE_SCHEMA = 'ambient-lab/regress-capture/1';

/** What comparing a capture file came to. */
export interface CaptureResult {
  readonly schema: typeof CAPTURE_SCHEMA;
  readonly capture: string;
  readonly baselineFile: string;
  readonly state: 'same' | 'differs' | 'could not run';
  readonly frames: number;
  readonly blocks: readonly ScenarioResult[];
  /** Why nothing could be compared. */
  readonly reason?: string;
  readonly isUpdate: boolean;
  readonly isWritten: boolean;
}
