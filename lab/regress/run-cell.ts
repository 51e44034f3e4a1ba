import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import type { RunFacts } from '../facts/facts.ts';
import type { Plan } from '../plan/plan.ts';
import { planLab } from '../plan/plan-lab.ts';
import { observe } from '../run/observe.ts';
import { createLab } from '../world/client.ts';
import { type Baseline, oneLine } from './baseline.ts';
import { type Cell, readBaseline, writeBaseline } from './cells.ts';
import { compareWithRun } from './compare-run.ts';
import { titleOf } from './describe-run.ts';
import { makeRequests } from './make-requests.ts';
import type { CellResult } from './results.ts';

export interface RunCellOptions {
  /** Directory of this cell's captures; removed when all is as the baseline has it. */
  readonly directory: string;
  readonly lab: string;
  readonly isUpdate: boolean;
  /** Compare only scenarios whose name has this text; those before them are made all the same. */
  readonly only?: string;
  /** Throws what is to be told when this machine cannot run the plan. */
  readonly requireCapabilities: (plan: Plan) => Promise<void>;
  readonly signal?: AbortSignal;
}

type Compared = Pick<CellResult, 'state' | 'scenarios' | 'isWritten'> & Partial<CellResult>;

/** Log of legs is taken for complete when it was quiet for so long: a loaded machine must not matter. */
const QUIET_MS = 250;

/** Builds a topology in an era, makes its requests once, and holds the facts against the baseline. */
export async function runCell(cell: Cell, options: RunCellOptions): Promise<CellResult> {
  const started = performance.now();
  const known = await readBaseline(cell.baselineFile);
  const compared = await compareCell(cell, known, options);
  return {
    topology: cell.name,
    era: cell.era,
    baselineFile: cell.baselineFile,
    hasBaseline: known !== undefined,
    ...compared,
    durationMs: Math.round(performance.now() - started),
  };
}

async function compareCell(
  cell: Cell,
  known: Baseline | undefined,
  options: RunCellOptions,
): Promise<Compared> {
  const { directory, isUpdate, only } = options;
  const plan = planOf(cell, options.lab);
  if (plan instanceof Error) return refuse(cell, known, plan.message, isUpdate);
  try {
    await options.requireCapabilities(plan);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { state: 'could not run', scenarios: [], isWritten: false, reason: error.message };
  }
  const facts = await observeCell({ ...plan, scenarios: scenariosUpTo(plan, only) }, options);
  const { state, scenarios, baseline } = compareWithRun(known, facts, plan.scenarios, {
    isUpdate,
    ...(only !== undefined && { only }),
  });
  const isWritten = isUpdate && (await writeBaseline(cell.baselineFile, baseline));
  if (state === 'same') await rm(directory, { recursive: true, force: true });
  const wasRefused = !isUpdate && known?.refusal !== undefined;
  return {
    state,
    scenarios,
    isWritten,
    ...(state !== 'same' && { directory }),
    ...(wasRefused && { reason: `it can be built, the baseline says: ${known.refusal}` }),
    ...(facts.tunnels && { tunnels: facts.tunnels }),
  };
}

/** A plan, or why the topology does not go with the era. In its own era a fault is the topology's. */
function planOf({ topology, era }: Cell, lab: string): Plan | Error {
  try {
    return planLab(topology, { lab, era });
  } catch (error) {
    if (!(error instanceof Error) || topology.era === era) throw error;
    return error;
  }
}

async function refuse(
  { topology, era, baselineFile }: Cell,
  known: Baseline | undefined,
  message: string,
  isUpdate: boolean,
): Promise<Compared> {
  const reason = oneLine(message.replaceAll(topology.file, basename(topology.file)));
  const found: Baseline = { title: titleOf(topology.file, era), refusal: reason, blocks: [] };
  const isWritten = isUpdate && (await writeBaseline(baselineFile, found));
  const isKnown = isUpdate || known?.refusal === reason;
  return { state: isKnown ? 'refused' : 'differs', scenarios: [], isWritten, reason };
}

async function observeCell(plan: Plan, options: RunCellOptions): Promise<RunFacts> {
  const { directory, signal, isUpdate } = options;
  await using lab = await createLab(plan, { signal });
  const { snapLength } = plan.capture;
  const observation = await observe(lab, { directory, snapLength, signal, quietMs: QUIET_MS }, () =>
    makeRequests(lab, plan.scenarios, { isThorough: isUpdate, quietMs: QUIET_MS, signal }),
  );
  return observation.facts;
}

/** Scenarios change the world for those after them: all up to the last that is wanted are made. */
function scenariosUpTo({ scenarios }: Plan, only: string | undefined): Plan['scenarios'] {
  if (only === undefined) return scenarios;
  const last = scenarios.findLastIndex(({ name }) => name.includes(only));
  return scenarios.slice(0, last + 1);
}
