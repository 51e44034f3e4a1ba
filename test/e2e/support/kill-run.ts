import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { listLabs } from '../../../lab/world/client.ts';
import { command } from './command.ts';
import { namespaceOf } from './host-state.ts';
import { eventually } from './lab.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const PROGRAMS = process.env['AMBIENT_LAB_PROGRAMS'] ?? join(ROOT, 'build', 'programs');
const CLI = join(PROGRAMS, 'cli.mjs');
const TOPOLOGY = join(ROOT, 'topologies', 'two-nodes.yaml');
const RUN_TIMEOUT_MS = 60_000;
const POLL_MS = 2;

export type Victim = 'supervisor' | 'client' | 'ztunnel';

/** What a `run` is doing, told by the files it has written. */
export const PHASES = ['build', 'scenarios', 'analysis', 'teardown'] as const;
export type Phase = (typeof PHASES)[number];

/** One moment: a share (0 to 1) of a phase's usual length after its beginning. */
export interface Moment {
  readonly phase: Phase;
  readonly share: number;
}

/** A `run` of the shipped topology, started by `startRun`, with results of its own. */
interface Run {
  readonly lab: string;
  readonly results: string;
  readonly process: ChildProcess;
  readonly exited: Promise<readonly [number | null, NodeJS.Signals | null]>;
  /** What it has said on stderr so far. */
  readonly stderr: () => string;
}

/** Milliseconds that each phase of an undisturbed run takes here and now. */
export async function measurePhases(t: Test, scratch: string): Promise<Record<Phase, number>> {
  const run = startRun(`m${process.pid}`, scratch);
  const at: number[] = [performance.now()];
  for (const phase of PHASES.slice(1)) {
    await untilPhase(run, phase);
    at.push(performance.now());
  }
  t.same(await run.exited, [0, null], 'a run that nobody disturbs holds');
  at.push(performance.now());
  const lengths = PHASES.map((phase, i) => [phase, (at[i + 1] ?? 0) - (at[i] ?? 0)] as const);
  return Object.fromEntries(lengths) as Record<Phase, number>;
}

/**
 * A run that meets `kill -9` of the victim at a moment, and everything that must hold afterwards:
 * it ends by itself, its exit code, message and results agree with what happened, no process and no
 * namespace is left, and gc removes the rest. True when the victim was there to be killed.
 */
export async function killDuringRun(
  t: Test,
  victim: Victim,
  moment: Moment,
  lengths: Readonly<Record<Phase, number>>,
  scratch: string,
): Promise<boolean> {
  const lab = `k${process.pid}-${victim[0]}${Math.floor(performance.now())}`;
  const run = startRun(lab, scratch);
  // Looking for processes takes as long as a teardown does: what is to die then is known before.
  if (moment.phase === 'teardown') await untilPhase(run, 'analysis');
  const known = moment.phase === 'teardown' ? victimsOf(victim, run) : undefined;
  const knownSpaces = known && spacesOf(lab);
  await untilPhase(run, moment.phase);
  await sleep(moment.share * lengths[moment.phase]);
  const pids = known?.filter(isThere) ?? (await untilThere(victim, run));
  const spaces = knownSpaces ?? spacesOf(lab);
  const bornBefore = bootTicks();
  const phase = phaseOf(run);
  for (const pid of pids) kill(pid);
  const [code, signal] = await run.exited;
  // A client that was just leaving by itself was not killed.
  const isHit = pids.length > 0 && !(victim === 'client' && signal === null);
  const what = `${victim} killed in ${phase}${isHit ? '' : ' (gone already)'}: ${signal ?? code}`;
  if (!isHit) t.same([code, signal], [0, null], what);
  else if (victim === 'client') t.equal(signal, 'SIGKILL', what);
  else t.ok(isExpected(code, victim, phase), `${what}, ${lastLine(run.stderr())}`);
  t.ok(agrees(run, code), `${what}: the results say the same`);
  t.notMatch(run.stderr(), /\n\s+at /, `${what}: no stack is shown`);
  t.same(
    await eventually(async () => leftOf(lab, spaces, bornBefore), isEmpty, 10_000),
    [],
    `${what}: no rest`,
  );
  const gc = await command(['gc']);
  t.equal(gc.exitCode, 0, `${what}: gc`);
  t.notOk(
    listLabs().some(({ name }) => name === lab),
    `${what}: no directory is left`,
  );
  return isHit;
}

/** Starts `run` with a folder for temporary files of its own. */
export function startRun(lab: string, scratch: string, prefix: readonly string[] = []): Run {
  const results = join(scratch, lab);
  const temporary = join(scratch, 'tmp');
  mkdirSync(temporary, { recursive: true });
  const argv = [...prefix, CLI, 'run', TOPOLOGY, '--lab', lab, '--results', results];
  const child = spawn(process.execPath, argv, {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TMPDIR: temporary },
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT_MS);
  const exited = once(child, 'close').then((end) => {
    clearTimeout(timer);
    return end as [number | null, NodeJS.Signals | null];
  });
  return { lab, results, process: child, exited, stderr: () => stderr };
}

/** Resolves when a run has come to a phase, or has ended. */
export async function untilPhase(run: Run, phase: Phase): Promise<void> {
  const wanted = PHASES.indexOf(phase);
  while (PHASES.indexOf(phaseOf(run)) < wanted && isRunning(run)) await sleep(POLL_MS);
}

function phaseOf(run: Run): Phase {
  const directory = runDirectory(run);
  if (directory === undefined) return 'build';
  if (existsSync(join(directory, 'junit.xml'))) return 'teardown';
  return existsSync(join(directory, 'recording.json')) ? 'analysis' : 'scenarios';
}

function isRunning({ process: child }: Run): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function runDirectory({ results }: Run): string | undefined {
  const found = entriesOf(results).find((name) => name !== 'latest');
  return found === undefined ? undefined : join(results, found);
}

/** Success is for evidence that was complete before; what was cut off could not run. */
function isExpected(code: number | null, victim: Victim, phase: Phase): boolean {
  if (phase === 'build') return code === 3;
  if (phase === 'scenarios') return victim === 'ztunnel' ? code !== 4 : code === 3;
  return code === 0 || code === 3;
}

/** The exit code, the mark of an incomplete run and the verdict tell one story. */
function agrees(run: Run, code: number | null): boolean {
  const directory = runDirectory(run);
  if (directory === undefined) return code !== 0 && code !== 1;
  const isComplete = !existsSync(join(directory, 'INCOMPLETE'));
  if (isComplete !== existsSync(join(run.results, 'latest')) && code !== null) return false;
  if (!isComplete) return code === 3 || code === null;
  const verdict = JSON.parse(readFileSync(join(directory, 'verdict.json'), 'utf8')) as {
    readonly outcome: string;
  };
  const wanted = { holds: 0, refuted: 1, 'could not run': 3 }[verdict.outcome];
  return code === null || code === wanted;
}

/** While the lab is built the victim may not be there yet: then it dies as soon as it is. */
async function untilThere(victim: Victim, run: Run): Promise<number[]> {
  for (;;) {
    const pids = victimsOf(victim, run);
    if (pids.length > 0 || phaseOf(run) !== 'build' || !isRunning(run)) return pids;
    await sleep(POLL_MS);
  }
}

function victimsOf(victim: Victim, run: Run): number[] {
  if (victim === 'client') return isRunning(run) && run.process.pid ? [run.process.pid] : [];
  const supervisors = supervisorsOf(run.lab);
  if (victim === 'supervisor') return supervisors;
  return beside(supervisors)
    .filter((pid) => textOf(pid, 'cmdline').includes('ztunnel.mjs'))
    .slice(0, 1);
}

function supervisorsOf(lab: string): number[] {
  return pids().filter((pid) => textOf(pid, 'comm') === 'ambient-lab' && names(pid, lab));
}

/** All processes in the PID namespaces of these, which are the PID 1 of theirs. */
function beside(supervisors: readonly number[]): number[] {
  const spaces = new Set(supervisors.map((pid) => namespaceOf(pid, 'pid')));
  return pids().filter((pid) => spaces.has(namespaceOf(pid, 'pid')));
}

/** Network and PID namespaces that the lab's processes are in. */
function spacesOf(lab: string): ReadonlySet<string> {
  const own = new Set([namespaceOf(process.pid, 'pid'), namespaceOf(process.pid, 'net')]);
  const inside = beside(supervisorsOf(lab));
  const all = inside.flatMap((pid) => [namespaceOf(pid, 'pid'), namespaceOf(pid, 'net')]);
  return new Set(all.filter((one) => one !== undefined && !own.has(one)) as string[]);
}

/**
 * Processes of the lab: by name, or older than `bornBefore` in one of its namespaces. The kernel
 * gives the number of a freed namespace to the next one made, so younger ones may be another lab's.
 * One without a command line has ended, and waits for the machine's own PID 1 to read its status.
 */
function leftOf(lab: string, spaces: ReadonlySet<string>, bornBefore: number): string[] {
  const isInside = (pid: number): boolean =>
    [namespaceOf(pid, 'pid'), namespaceOf(pid, 'net')].some((one) => spaces.has(one ?? ''));
  return pids()
    .filter((pid) => names(pid, lab) || (isInside(pid) && bornAt(pid) <= bornBefore))
    .filter((pid) => textOf(pid, 'cmdline') !== '')
    .map((pid) => `${pid} ${textOf(pid, 'cmdline')}`);
}

/** Start of a process in ticks of 10 ms since boot: proc(5), `stat`, field 22. */
function bornAt(pid: number): number {
  const stat = textOf(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? Infinity);
}

function bootTicks(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 100;
}

function names(pid: number, lab: string): boolean {
  return textOf(pid, 'cmdline').split(' ').includes(lab);
}

function isEmpty(list: readonly unknown[]): boolean {
  return list.length === 0;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

function pids(): number[] {
  return entriesOf('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(pid: number, file: 'cmdline' | 'comm' | 'stat'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

function isThere(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

function kill(pid: number): void {
  if (isThere(pid)) process.kill(pid, 'SIGKILL');
}
