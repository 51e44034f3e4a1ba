import { FAULT_NAMES } from '../../topologies/fault-names.ts';
import { didYouMean } from '../../topologies/nearest.ts';
import { findNode, findPod } from '../plan/names.ts';
import type { Plan } from '../plan/plan.ts';
import type { Lab, LabStatus } from '../world/lab.ts';
import { ALL_FAULTS, type AnyFault } from './all-faults.ts';
import { FaultError } from './errors.ts';
import type { FaultPlace } from './fault.ts';
import { podPlace } from './in-pod.ts';
import { FaultJournal, type JournalEntry } from './journal.ts';

/** What `break` or `mend` did. */
export interface FaultChange {
  readonly fault: AnyFault['name'];
  readonly at: string;
  readonly title: string;
  readonly seen: string;
}

/** @throws FaultError LAB_UNKNOWN_FAULT with the nearest name */
function findFault(name: string): AnyFault {
  const fault = Object.hasOwn(ALL_FAULTS, name) ? ALL_FAULTS[name as AnyFault['name']] : undefined;
  if (fault !== undefined) return fault;
  const message = `Cannot find the fault "${name}": known are ${FAULT_NAMES.join(', ')}`;
  throw new FaultError('LAB_UNKNOWN_FAULT', name, message, didYouMean(name, FAULT_NAMES));
}

/**
 * Makes a fault in a running lab, at the place named or the first that suits. One fault a place, so
 * that each can be taken back by itself; a fault that fails half-way is taken back.
 *
 * @throws FaultError for what cannot be had, is there already, or has no such place; {PlanError}
 */
export async function breakLab(lab: Lab, name: string, where?: string): Promise<FaultChange> {
  const fault = findFault(name);
  requirePossible(fault, lab.plan);
  const at = placeOf(fault, lab.plan, await lab.status(), where);
  const journal = new FaultJournal(lab.directory);
  const there = (await journal.list()).find((entry) => entry.at === at.name);
  if (there !== undefined) throw alreadyBroken(fault, there);
  const context = { lab, at } as never;
  const saved = await fault.prepare(context);
  const entry = { fault: fault.name, at: at.name, saved, brokenMs: Date.now() };
  if (!(await journal.open({ ...entry, state: 'breaking' }))) {
    throw alreadyBroken(fault, { ...entry, state: 'breaking' });
  }
  try {
    await fault.apply(context, saved);
  } catch (error) {
    await fault.mend(context, saved);
    await journal.close(entry);
    throw error;
  }
  await journal.update({ ...entry, state: 'broken' });
  return changeOf(fault, at.name);
}

/**
 * Takes a fault back: all is as before it. @throws FaultError when there is none such, or several
 */
export async function mendLab(lab: Lab, name: string, where?: string): Promise<FaultChange> {
  const fault = findFault(name);
  const journal = new FaultJournal(lab.directory);
  const broken = await journal.list();
  const same = broken.filter((entry) => entry.fault === fault.name);
  const wished = where === undefined ? undefined : namedPlace(fault, lab.plan, where).name;
  const [entry, ...others] = same.filter(({ at }) => wished === undefined || at === wished);
  if (entry === undefined) throw notBroken(fault, wished, broken);
  if (others.length > 0) {
    const places = same.map(({ at }) => at).join(', ');
    const message = `Cannot choose what to mend: "${name}" is broken at ${places}, name one`;
    throw new FaultError('LAB_BAD_FAULT_PLACE', name, message);
  }
  return mendEntry(lab, entry);
}

/** Takes back all faults of a lab, the newest first. */
export async function mendAll(lab: Lab): Promise<readonly FaultChange[]> {
  const mended: FaultChange[] = [];
  for (const entry of (await brokenIn(lab)).toReversed()) mended.push(await mendEntry(lab, entry));
  return mended;
}

/** Faults of a lab that are not mended, oldest first. */
export function brokenIn(lab: Pick<Lab, 'directory'>): Promise<readonly JournalEntry[]> {
  return new FaultJournal(lab.directory).list();
}

async function mendEntry(lab: Lab, entry: JournalEntry): Promise<FaultChange> {
  const fault = findFault(entry.fault);
  const at = namedPlace(fault, lab.plan, entry.at);
  await fault.mend({ lab, at } as never, entry.saved);
  await new FaultJournal(lab.directory).close(entry);
  return changeOf(fault, entry.at);
}

function changeOf({ name: fault, title, seen }: AnyFault, at: string): FaultChange {
  return { fault, at, title, seen };
}

/** Why a lab cannot have a fault; nothing when it can. @throws FaultError LAB_UNKNOWN_FAULT */
export function refusalOf(name: string, plan: Plan): string | undefined {
  return findFault(name).refusal(plan);
}

function requirePossible(fault: AnyFault, plan: Plan): void {
  const reason = fault.refusal(plan);
  if (reason === undefined) return;
  const message = `Cannot break "${fault.name}" in a lab of era "${plan.era}": ${reason}`;
  throw new FaultError('LAB_BAD_FAULT', fault.name, message);
}

function placeOf(
  fault: AnyFault,
  plan: Plan,
  status: LabStatus,
  where: string | undefined,
): FaultPlace {
  if (where === undefined) {
    const found = placesFor(fault, plan, status)[0];
    if (found !== undefined) return found;
    const message = `Cannot break "${fault.name}": the lab has no ${fault.kind} that it suits`;
    throw new FaultError('LAB_BAD_FAULT_PLACE', fault.name, message);
  }
  const named = namedPlace(fault, plan, where);
  const places = placesFor(fault, plan, status);
  if (places.some(({ name }) => name === named.name)) return named;
  const message = `Cannot break "${fault.name}" at "${named.name}": ${unsuited(fault, named)}`;
  const names = places.map(({ name }) => name).join(', ');
  const hint = names === '' ? undefined : `Possible here: ${names}`;
  throw new FaultError('LAB_BAD_FAULT_PLACE', fault.name, message, hint);
}

function unsuited(fault: AnyFault, place: FaultPlace): string {
  if (place.kind === 'node') return 'the node has not what it takes';
  if (place.pod.system) return "the pod is the lab's own";
  return 'the pod is not enrolled, or has not what it takes';
}

/** Where a fault can be made now. */
function placesFor(fault: AnyFault, plan: Plan, status: LabStatus): readonly FaultPlace[] {
  return fault.kind === 'pod'
    ? plan.pods.map(podPlace).filter((at) => fault.suits(at, status, plan))
    : plan.nodes.map(nodePlace).filter((at) => fault.suits(at, status, plan));
}

function namedPlace(fault: AnyFault, plan: Plan, where: string): FaultPlace {
  return fault.kind === 'pod' ? podPlace(findPod(plan, where)) : nodePlace(findNode(plan, where));
}

function nodePlace(node: Plan['nodes'][number]) {
  return { kind: 'node', name: node.name, node } as const;
}

function alreadyBroken(fault: AnyFault, there: JournalEntry): FaultError {
  const isSame = there.fault === fault.name;
  const state = isSame ? 'it is broken there already' : `"${there.fault}" is broken there`;
  const message = `Cannot break "${fault.name}" at "${there.at}": ${state}, one fault a place`;
  const hint = `Mend it first: npm run lab -- mend ${there.fault} ${there.at}`;
  return new FaultError('LAB_BAD_FAULT', fault.name, message, hint);
}

function notBroken(
  fault: AnyFault,
  at: string | undefined,
  broken: readonly JournalEntry[],
): FaultError {
  const where = at === undefined ? '' : ` at "${at}"`;
  const others = broken.map((entry) => `${entry.fault} at ${entry.at}`).join(', ');
  const message =
    `Cannot mend "${fault.name}"${where}: it is not broken there, ` +
    (others === '' ? 'and nothing else is' : `what is broken: ${others}`);
  return new FaultError('LAB_NO_SUCH_FAULT', fault.name, message);
}
