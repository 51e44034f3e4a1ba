import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import type { RunFacts } from '../facts/facts.ts';
import type { RequestResult } from '../facts/request.ts';
import { lackOfPath } from '../judge/evidence.ts';
import type { Outcome, RunVerdict, ScenarioVerdict } from '../judge/verdict.ts';
import { type Cell, nameOf } from './cells.ts';
import { type GridKind, recordedOf } from './expectations.ts';
import { type CellFacts, readCell } from './read-cell.ts';

/** Version of the JSON of `grid --json`; a change that breaks readers changes the number. */
export const GRID_SCHEMA = 'ambient-lab/grid/1';

/** One cell and what came of it. */
export interface CellResult extends Cell {
  /** Its scenario in `verdict.json` and `junit.xml`. */
  readonly name: string;
  /** Against what is recorded of such pairs: *refuted* is other than recorded. */
  readonly outcome: Outcome;
  /** What is recorded, and why it is so. */
  readonly recorded: string;
  /** How the client fared, by its own word; absent where no request was made. */
  readonly answer?: string;
  /** Whether the app was reached: it told whom it saw. An answer may be a proxy's own. */
  readonly reachable?: boolean;
  /** What is missing, for *could not run*. */
  readonly needs?: string;
  /** What is other than recorded, for *refuted*. */
  readonly differs?: readonly string[];
  /** What the packets say; absent where they do not tell the whole way. */
  readonly facts?: CellFacts;
  /** File with its ladder, below the run directory. */
  readonly ladder?: string;
}

export interface GridResult extends GridKind {
  readonly schema: typeof GRID_SCHEMA;
  readonly lab: string;
  readonly tunnels?: TunnelKind;
  readonly outcome: Outcome;
  readonly cells: readonly CellResult[];
}

/** Folder of the ladders in a run directory. */
export const LADDERS = 'ladders';

/** Name of a cell's ladder, below the run directory. */
export function ladderFile({ number, client, server, distance, calledBy }: Cell): string {
  const digits = String(number).padStart(2, '0');
  return `${LADDERS}/${digits}-${client}-${server}-${distance}-${calledBy}.txt`;
}

/** The whole grid, from the verdict of its scenarios and the facts of their packets. */
export function gridOf(
  cells: readonly Cell[],
  kind: GridKind,
  verdict: RunVerdict,
  facts: RunFacts,
): GridResult {
  const { lab, tunnels, outcome } = verdict;
  const results = cells.map((cell) => {
    const name = nameOf(cell);
    const scenario = verdict.scenarios.find((each) => each.name === name);
    return resultOf(cell, kind, scenario, facts);
  });
  return {
    schema: GRID_SCHEMA,
    lab,
    ...kind,
    ...(tunnels && { tunnels }),
    outcome,
    cells: results,
  };
}

function resultOf(
  cell: Cell,
  kind: GridKind,
  scenario: ScenarioVerdict | undefined,
  facts: RunFacts,
): CellResult {
  const path = facts.paths[scenario?.paths[0] ?? -1];
  const lack = path === undefined ? undefined : lackOfPath(facts, path);
  const outcome = scenario?.outcome ?? 'could not run';
  const checks = scenario?.checks ?? [];
  const needs = lack ?? checks.find((each) => each.needs !== undefined)?.needs;
  const differs = checks.filter((each) => each.outcome === 'refuted').map(({ text }) => text);
  return {
    ...cell,
    name: nameOf(cell),
    outcome,
    recorded: recordedOf(cell, kind).why,
    ...(path && { answer: answerOf(path.request), reachable: isReached(path.request) }),
    ...(needs !== undefined && { needs }),
    ...(differs.length > 0 && { differs }),
    ...(path && lack === undefined && { facts: readCell(facts, path) }),
    ...(path && { ladder: ladderFile(cell) }),
  };
}

function answerOf({ status, outcome }: RequestResult): string {
  return status === undefined ? outcome : String(status);
}

function isReached({ outcome, sourceSeenByApp }: RequestResult): boolean {
  return outcome === 'ok' && sourceSeenByApp !== undefined;
}
