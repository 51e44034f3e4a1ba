import { native } from './addon.ts';
import { kernelCall } from './errors.ts';

const READABLE = 1;
const WRITABLE = 2;

export interface Interest {
  readonly readable?: boolean;
  readonly writable?: boolean;
}

/** What a descriptor is ready for; an error or hang-up shows as both: the next read tells. */
export interface Readiness {
  readonly readable: boolean;
  readonly writable: boolean;
}

/** A running watch. Dispose of it before the descriptor is closed. */
export interface FdWatch extends Disposable {
  /** Changes what is waited for; nothing pauses. */
  setInterest(interest: Interest): void;
  /** Whether the watch alone keeps the process running (it does at first). */
  setReference(keep: boolean): void;
}

/**
 * Calls `onReady` in node's loop whenever the descriptor is ready (level-triggered: read until
 * nothing is left). Any descriptor that epoll takes will do; it is made non-blocking. One watch a
 * descriptor. No call comes after disposal.
 *
 * @throws {KernelError} EPERM for files, EEXIST when the descriptor is watched already
 */
export function watchFd(
  fd: number,
  onReady: (ready: Readiness) => void,
  interest: Interest = { readable: true },
): FdWatch {
  const handle = kernelCall(`watch descriptor ${fd}`, () =>
    native.pollStart(fd, eventsOf(interest), (events) => {
      onReady({ readable: (events & READABLE) !== 0, writable: (events & WRITABLE) !== 0 });
    }),
  );
  return {
    setInterest: (next) => native.pollEvents(handle, eventsOf(next)),
    setReference: (keep) => native.pollReference(handle, keep),
    [Symbol.dispose]: () => native.pollStop(handle),
  };
}

function eventsOf(interest: Interest): number {
  return (interest.readable ? READABLE : 0) | (interest.writable ? WRITABLE : 0);
}
