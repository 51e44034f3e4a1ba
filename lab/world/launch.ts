import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { FileLock } from '../../dataplane/kernel/process.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../hosts/envoy.ts';
import type { Plan } from '../plan/plan.ts';
import { injectedPods } from '../plan/sidecars.ts';
import { errorFromWire, LabError } from './errors.ts';
import { JsonLines, toJsonLine } from './json-lines.ts';
import type { CreateLabOptions } from './lab.ts';
import { claimLab, isAlive, removeDead } from './lab-directory.ts';
import type { LabPaths } from './paths.ts';
import { programArgv } from './programs.ts';
import { programEnv } from './program-env.ts';
import type { StartLine, StartOrder } from './protocol.ts';

const START_TIMEOUT_MS = 60_000;
/** A pod takes a few; a busy machine many times that. */
const MS_PER_POD = 100;
const END_TIMEOUT_MS = 30_000;
const LOG_TAIL_BYTES = 2_000;

/** The supervisor's outermost process, as the one who started it sees it. */
export interface LaunchedSupervisor {
  /** Ends it at once, and the kernel everything below; the directory is removed. */
  kill(): Promise<void>;
}

/**
 * Starts a supervisor in PID, mount and network namespaces of its own and waits until its world
 * stands. Its group and session are its own, so that a terminal's Ctrl-C reaches only us; unless
 * `detached`, the kernel kills it when this process ends.
 *
 * @throws LabError what the supervisor reports, LAB_EXISTS, LAB_START_FAILED
 */
export async function launchSupervisor(
  plan: Plan,
  paths: LabPaths,
  options: CreateLabOptions,
): Promise<LaunchedSupervisor> {
  options.signal?.throwIfAborted();
  const envoy = envoyFor(plan);
  const began = performance.now();
  const claim = await claimLab(paths);
  if (!claim) throw exists(plan.lab);
  const text = claim.isReplacing ? 'replaces a dead lab of that name' : 'PID 1 of the lab';
  options.onProgress?.({ step: 'supervisor', state: 'started', text, ms: 0 });
  const child = startProcess(plan, paths, claim.lock, options.detached === true);
  const kill = (): Promise<void> => end(child, paths);
  const abort = (): void => void kill();
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    options.signal?.throwIfAborted();
    sendOrder(child, { plan, ...orderOf(options), ...(envoy !== undefined && { envoy }) });
    const onStarted = (): number => {
      const ms = performance.now() - began;
      options.onProgress?.({ step: 'supervisor', state: 'done', text, ms });
      return ms;
    };
    await untilReady(child, paths, { ...options, onStarted, pods: plan.pods.length });
  } catch (error) {
    await kill();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
  letGo(child, options.detached === true);
  return { kill };
}

/** @throws LabError LAB_PROGRAM_MISSING when pods have a sidecar and there is no Envoy */
function envoyFor(plan: Plan): string | undefined {
  const [pod] = injectedPods(plan);
  if (pod === undefined) return undefined;
  const envoy = findEnvoy();
  if (envoy !== undefined) return envoy;
  const text = `Cannot give pod "${pod.name}" its sidecar: this machine has no Envoy`;
  throw new LabError('LAB_PROGRAM_MISSING', text, { hint: `Wanted: ${HOW_TO_GET_ENVOY}` });
}

function exists(name: string): LabError {
  return new LabError('LAB_EXISTS', `Cannot start lab "${name}": a lab of that name runs`, {
    hint: 'End it with "down", or start this one under another name',
  });
}

/** Hands the lock over: the supervisor has it as descriptor 3 for as long as it lives, we no more. */
function startProcess(
  plan: Plan,
  paths: LabPaths,
  lock: FileLock,
  isDetached: boolean,
): ChildProcess {
  const tie = isDetached ? [] : ['setpriv', '--pdeathsig', 'KILL', '--'];
  const [file = '', ...args] = [
    ...tie,
    ...['unshare', '--fork', '--pid', '--mount-proc', '--net'],
    ...['--kill-child=SIGKILL', '--propagation', 'private', '--'],
    ...programArgv('supervisor'),
    plan.lab,
  ];
  using own = lock;
  const log = openSync(join(paths.logs, 'supervisor.log'), 'a', 0o600);
  try {
    return spawn(file, args, {
      stdio: ['pipe', 'pipe', log, own.fd],
      detached: true,
      cwd: '/',
      env: programEnv(),
    });
  } finally {
    closeSync(log);
  }
}

function orderOf(options: CreateLabOptions): Omit<StartOrder, 'plan'> {
  const { detached = false, withoutMesh = false, withoutEvidence = false, ztunnel } = options;
  return { detached, withoutMesh, withoutEvidence, ztunnel };
}

/** Standard input stays open: to a tied supervisor its end means that we are gone. */
function sendOrder(child: ChildProcess, order: StartOrder): void {
  child.stdin?.on('error', () => {});
  child.stdin?.write(toJsonLine(order));
}

interface WaitOptions extends CreateLabOptions {
  readonly pods: number;
  /** The supervisor has said its first word; gives the milliseconds that it took. */
  readonly onStarted: () => number;
}

async function untilReady(
  child: ChildProcess,
  paths: LabPaths,
  options: WaitOptions,
): Promise<void> {
  const timeoutMs = options.startTimeoutMs ?? START_TIMEOUT_MS + MS_PER_POD * options.pods;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fault = `Cannot start the lab: it is not ready after ${timeoutMs} ms`;
    timer = setTimeout(() => reject(new LabError('LAB_START_FAILED', fault)), timeoutMs);
  });
  try {
    await Promise.race([late, readLines(child, paths, options), spawnFault(child)]);
  } finally {
    clearTimeout(timer);
  }
}

async function readLines(
  child: ChildProcess,
  paths: LabPaths,
  options: WaitOptions,
): Promise<void> {
  let startedMs: number | undefined;
  const lines = new JsonLines();
  const output = child.stdout as Readable;
  for await (const chunk of output.iterator({ destroyOnReturn: false })) {
    for (const value of lines.push(chunk as Buffer)) {
      const line = value as StartLine;
      startedMs ??= options.onStarted();
      if (line.kind === 'ready') return;
      if (line.kind === 'failed') throw errorFromWire(line.error);
      options.onProgress?.({ ...line.progress, ms: line.progress.ms + startedMs });
    }
  }
  options.signal?.throwIfAborted();
  const words = logTail(paths);
  throw new LabError(
    'LAB_SUPERVISOR_DIED',
    'Cannot start the lab: its supervisor has ended without a word, killed perhaps',
    words === '' ? {} : { hint: `Its log ends with:\n${words}` },
  );
}

async function spawnFault(child: ChildProcess): Promise<never> {
  const [cause] = (await once(child, 'error')) as [Error];
  throw new LabError('LAB_PROGRAM_MISSING', 'Cannot start a supervisor', { cause });
}

function logTail(paths: LabPaths): string {
  try {
    const text = readFileSync(join(paths.logs, 'supervisor.log'), 'utf8').slice(-LOG_TAIL_BYTES);
    // What unshare of util-linux 2.38 says whenever its child was killed.
    return text.replaceAll(/^unshare: sigprocmask unblock failed.*$/gm, '').trim();
  } catch {
    return '';
  }
}

/** From here on it does not keep this process alive. */
function letGo(child: ChildProcess, isDetached: boolean): void {
  child.unref();
  child.stdout?.destroy();
  if (isDetached) child.stdin?.destroy();
  else (child.stdin as unknown as { unref(): void }).unref();
}

async function end(child: ChildProcess, paths: LabPaths): Promise<void> {
  child.ref();
  const isRunning = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  if (isRunning) {
    const exited = once(child, 'exit', { signal: AbortSignal.timeout(END_TIMEOUT_MS) });
    // unshare's end is its child's (--kill-child).
    child.kill('SIGKILL');
    await exited.catch(() => undefined);
  }
  child.stdin?.destroy();
  await untilDead(paths);
}

/** Resolves when nobody holds the lab any more and its directory is gone. */
export async function untilDead(paths: LabPaths): Promise<void> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  while (isAlive(paths)) {
    if (performance.now() > deadline) {
      throw new LabError(
        'LAB_STUCK',
        `Cannot end the lab: "${paths.lock}" is still held after ${END_TIMEOUT_MS} ms`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  removeDead(paths);
}
