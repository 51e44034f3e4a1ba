import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { untilNamespacesFreed } from './namespaces-freed.ts';
import type { Times } from './times.ts';

const PROGRAM = fileURLToPath(new URL('mininet-hosts.py', import.meta.url));
/** Debian's own: its package is for no other Python of the machine. */
const PYTHON = '/usr/bin/python3';
const WORDS_BYTES = 2_000;

/** Debian's Mininet, in namespaces of its own in which it cannot touch the machine. */
export class MininetSession implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #words: () => string;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    let words = '';
    child.stderr!.on('data', (part: Buffer) => {
      words = (words + part.toString('utf8')).slice(-WORDS_BYTES);
    });
    this.#words = () => words;
  }

  /** Loaded and waiting. @throws Error with Mininet's words when it cannot run here */
  static async start(): Promise<MininetSession> {
    const argv = ['-n', '-m', '-p', '--fork', '--mount-proc', '--kill-child=SIGKILL', '--'];
    const child = spawn('unshare', [...argv, PYTHON, PROGRAM], { stdio: 'pipe' });
    const session = new MininetSession(child);
    await session.#next();
    return session;
  }

  /** Builds that many hosts on one Linux bridge and removes them. */
  async measure(hosts: number): Promise<Times> {
    this.#child.stdin!.write(`${hosts}\n`);
    const { build, remove } = await this.#next<{ build: number; remove: number }>();
    const began = performance.now();
    await untilNamespacesFreed();
    return { buildMs: build * 1000, removeMs: remove * 1000 + performance.now() - began };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async #next<T>(): Promise<T> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`Cannot run Mininet: ${this.#words().trim()}`);
    return JSON.parse(line.value) as T;
  }
}
