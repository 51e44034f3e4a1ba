import { native } from './addon.ts';
import { kernelCall } from './errors.ts';
import { watchFd, type FdWatch } from './poll.ts';
import { closeFd } from './sockets.ts';

/**
 * A timer of the kernel that wakes node's loop to within some ten microseconds, where `setTimeout`
 * counts whole milliseconds. Each `arm` gives one call, as late as that after it; arming again
 * replaces what was armed. While it exists it keeps the process running.
 */
export class FineTimer implements Disposable {
  readonly #fd: number;
  readonly #watch: FdWatch;
  #isArmed = false;
  #isDisposed = false;

  constructor(onExpired: () => void) {
    this.#fd = kernelCall('open a timer', () => native.timerOpen());
    this.#watch = watchFd(this.#fd, () => {
      this.#isArmed = false;
      onExpired();
      // Level-triggered: what is not armed again must not be told again.
      if (!this.#isArmed && !this.#isDisposed) native.timerArm(this.#fd, 0);
    });
  }

  /** Values below one are one microsecond: zero would never expire. */
  arm(delayUs: number): void {
    this.#isArmed = true;
    native.timerArm(this.#fd, Math.max(1, delayUs));
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#watch[Symbol.dispose]();
    closeFd(this.#fd);
  }
}
