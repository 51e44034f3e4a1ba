import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { native } from './addon.ts';
import { kernelCall } from './errors.ts';

/** The kernel sends this process `signal` when its parent's thread ends (prctl PR_SET_PDEATHSIG). */
export function setDeathSignal(signal: NodeJS.Signals): void {
  kernelCall(`ask for ${signal} at the parent's end`, () =>
    native.setDeathSignal(constants.signals[signal]),
  );
}

/** Name of this process in `ps` and `/proc/self/comm`; cut to 15 bytes. */
export function setProcessName(name: string): void {
  native.setProcessName(Buffer.from(name).subarray(0, 15).toString('latin1'));
}

/**
 * Reaps every zombie that this process inherited (as PID 1 or a subreaper) and gives their pids.
 * Children that libuv started must be in `own`: their status is libuv's to read. Call it on SIGCHLD;
 * when a child of libuv's is found first, what is behind it waits for the next call.
 */
export function reapOrphans(own: ReadonlySet<number>): number[] {
  const reaped: number[] = [];
  for (;;) {
    const pid = kernelCall('look for ended children', () => native.peekZombie());
    if (pid === 0 || own.has(pid)) return reaped;
    if (!kernelCall(`reap process ${pid}`, () => native.reapChild(pid))) return reaped;
    reaped.push(pid);
  }
}

/** Process, user and group behind the other end of a connected Unix socket, as of its connect. */
export function peerCredentials(fd: number): {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
} {
  return kernelCall('read the credentials of a peer', () => native.peerCredentials(fd));
}

/** A lock on a file that the kernel drops when this process ends, however it ends. */
export interface FileLock extends Disposable {
  readonly fd: number;
}

/**
 * Takes an exclusive flock(2) on `path` (created when absent), or gives undefined when another
 * process holds it. Never waits.
 */
export function lockFile(path: string): FileLock | undefined {
  const fd = openSync(path, 'a+', 0o600);
  if (!kernelCall(`lock "${path}"`, () => native.lockFile(fd, true))) {
    closeSync(fd);
    return undefined;
  }
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

/** Raises the soft limit of open files to the hard one and gives it (`ztunnel.md` §1.5). */
export function raiseFileLimit(): number {
  return kernelCall('raise the limit of open files', () => native.raiseFileLimit());
}

/** Nanoseconds since 1970 (CLOCK_REALTIME), the clock of captured frames. */
export function realtimeNs(): bigint {
  return native.realtimeNs();
}
