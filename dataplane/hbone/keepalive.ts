export interface KeepaliveActions {
  sendPing(): void;
  onTimeout(): void;
}

/** PING `intervalMs` after the start and after each PONG; the peer has `timeoutMs` to answer. */
export class Keepalive {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #actions: KeepaliveActions;
  #timer: NodeJS.Timeout | undefined;
  #isWaiting = false;

  constructor(intervalMs: number, timeoutMs: number, actions: KeepaliveActions) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#actions = actions;
  }

  start(): void {
    this.#isWaiting = false;
    this.#arm(this.#intervalMs, () => {
      this.#isWaiting = true;
      this.#actions.sendPing();
      this.#arm(this.#timeoutMs, () => this.#actions.onTimeout());
    });
  }

  onPong(): void {
    if (this.#isWaiting) this.start();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isWaiting = false;
  }

  #arm(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
    this.#timer.unref();
  }
}
