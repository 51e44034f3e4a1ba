import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ERAS, type Era } from '../../../dataplane/redirect/era.ts';
import type { Finished } from '../../../lab/hosts/run.ts';
import { planLab } from '../../../lab/plan/plan-lab.ts';
import { createLab } from '../../../lab/world/client.ts';
import { finishInPlace } from '../../../lab/world/in-place.ts';
import type { Lab } from '../../../lab/world/lab.ts';
import { loadTopology } from '../../../topologies/load.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures', 'topologies');
const PEER = join(import.meta.dirname, 'peer.mjs');

/** The eras in which every behaviour is tested. */
export const TESTED_ERAS = [
  'inpod-redirect',
  'inpod-tproxy',
  'inpod-nft',
] as const satisfies readonly Era[];

/**
 * The eras for behaviour that hangs on the proxy more than on the redirect: `test/long` adds the
 * others by AMBIENT_LAB_TEST_ERAS.
 */
export const PROXY_ERAS: readonly Era[] = (
  process.env['AMBIENT_LAB_TEST_ERAS'] ?? 'inpod-redirect,inpod-tproxy'
)
  .split(',')
  .filter((era): era is Era => (ERAS as readonly string[]).includes(era));

/** A lab of a fixture topology, named after the test process so that runs do not meet. */
export async function startLab(topology: string, era: Era, suffix = ''): Promise<Lab> {
  const loaded = loadTopology(join(FIXTURES, topology));
  const lab = `t${process.pid}${suffix}-${era.replace('inpod-', '')}`;
  return createLab(planLab(loaded, { lab, era }));
}

/** A directory for captures that goes with the test. */
export async function scratchDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'ambient-lab-test-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Runs a program in a pod and keeps what it printed. */
export async function execIn(
  lab: Lab,
  target: string,
  argv: readonly string[],
  timeoutMs = 20_000,
): Promise<Finished> {
  return finishInPlace(lab, target, argv, { timeoutMs });
}

/** One role of `peer.mjs` in a pod, run to its end; the last line it printed. */
export async function peerIn<T>(
  lab: Lab,
  target: string,
  role: string,
  options: object,
  timeoutMs = 60_000,
): Promise<T> {
  const argv = [process.execPath, PEER, role, JSON.stringify(options)];
  const done = await execIn(lab, target, argv, timeoutMs);
  const last = done.stdout.trim().split('\n').at(-1) ?? '';
  if (done.exitCode !== 0 || last === '') {
    throw new Error(`Cannot run peer ${role} in ${target}: exit ${done.exitCode}: ${done.stderr}`);
  }
  return JSON.parse(last) as T;
}

/** A role that goes on in the background; its lines as they come. */
export interface RunningPeer extends AsyncDisposable {
  /** The next line, parsed. */
  next<T>(): Promise<T>;
}

/** Starts a role of `peer.mjs` in a pod and waits for its first line. */
export async function startPeer(
  lab: Lab,
  target: string,
  role: string,
  options: object,
): Promise<RunningPeer> {
  const [file, ...args] = lab.execArgv(target, [
    process.execPath,
    PEER,
    role,
    JSON.stringify(options),
  ]);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const peer: RunningPeer = {
    async next<T>() {
      const line = await lines.next();
      if (line.done === true) throw new Error(`Peer ${role} in ${target} ended without a line`);
      return JSON.parse(line.value) as T;
    },
    [Symbol.asyncDispose]: () => end(child),
  };
  await peer.next();
  return peer;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Address of a pod of the plan. */
export function addressOf(lab: Lab, pod: string): string {
  const found = lab.plan.pods.find(({ name }) => name === pod);
  if (found === undefined) throw new Error(`No pod "${pod}" in the plan`);
  return found.address;
}

/** The access log lines of a node's ztunnel so far. */
export async function accessLog(lab: Lab, node: string): Promise<readonly string[]> {
  const text = await readFile(join(lab.directory, 'logs', `ztunnel-${node}.log`), 'utf8');
  return text.split('\n').filter((line) => line.includes('\taccess\t'));
}

/** Calls until the answer passes or the time is over; the last answer either way. */
export async function eventually<T>(
  read: () => Promise<T>,
  isGood: (value: T) => boolean,
  timeoutMs = 5_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (isGood(value) || performance.now() > deadline) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
