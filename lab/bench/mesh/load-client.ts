import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { JsonLines, toJsonLine } from '../../world/json-lines.ts';
import type { LoadOrder, LoadReport, LoadResult } from '../load/load-order.ts';

/** A load that could not be made: its client, or what it asked, failed. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
  readonly code = 'LAB_BENCH_LOAD';
}

/** Beyond the window: connecting, settling, a machine that is busy. */
const GRACE_MS = 60_000;

export interface WindowEnds {
  readonly onOpened: () => void;
  readonly onClosed: () => void;
}

/** A running load generator, ended with its disposal. */
export class LoadClient implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #reports: AsyncIterator<LoadReport>;
  #words = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (part: Buffer) => (this.#words += part.toString()));
    child.stdin?.on('error', () => undefined);
    this.#reports = reportsOf(child);
  }

  /** @throws LoadError when the generator does not come up */
  static async start(argv: readonly string[]): Promise<LoadClient> {
    const [file = '', ...args] = argv;
    const client = new LoadClient(spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
    await client.#next(GRACE_MS);
    return client;
  }

  /** One load, from its warm-up to its result. @throws LoadError */
  async run(order: LoadOrder, ends: WindowEnds): Promise<LoadResult> {
    this.#child.stdin?.write(toJsonLine(order));
    for (;;) {
      const report = await this.#next(order.warmUpMs + order.windowMs + GRACE_MS);
      switch (report.kind) {
        case 'ready':
          break;
        case 'opened':
          ends.onOpened();
          break;
        case 'closed':
          ends.onClosed();
          break;
        case 'result':
          return report.result;
        case 'failed':
          throw new LoadError(`Cannot make load: ${report.message}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.stdin?.end();
    // In the middle of a load it does not look at its input.
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2_000);
    await exited;
    clearTimeout(timer);
  }

  async #next(timeoutMs: number): Promise<LoadReport> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const text = `Cannot make load: no word from its generator for ${timeoutMs} ms`;
      timer = setTimeout(() => reject(new LoadError(text)), timeoutMs);
    });
    try {
      const next = await Promise.race([this.#reports.next(), late]);
      if (next.done !== true) return next.value;
      throw new LoadError(`Cannot make load: its generator has ended, ${this.#words.trim()}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function* reportsOf(child: ChildProcess): AsyncGenerator<LoadReport> {
  const lines = new JsonLines();
  for await (const chunk of child.stdout ?? []) {
    for (const value of lines.push(chunk as Buffer)) yield value as LoadReport;
  }
}
