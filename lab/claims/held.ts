import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { EvidenceMissing } from './finding.ts';
import type { Lab } from '../world/lab.ts';

/** Plain Node, so that it runs in any pod: a line each 20 ms, until the end or the time-out. */
const CLIENT = `
const [host, port, forMs] = process.argv.slice(1);
const socket = require('node:net').connect({ host, port: Number(port) });
let echoed = 0, end;
const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
const stop = (how) => { if (end) return; end = how; say({ end, echoed }); process.exit(0); };
socket.on('data', () => { if (echoed++ === 0) say({ echoed: 1 }); });
socket.on('error', (error) => stop(error.code));
socket.on('close', () => stop('closed'));
const timer = setInterval(() => socket.write('tick'), 20);
setTimeout(() => stop('open'), Number(forMs));
`;

/** How a connection that was held open ended: `open` when its time was over first. */
export interface HeldEnd {
  readonly end: string;
  readonly echoed: number;
}

/** One connection in use, from a pod. */
export class HeldConnection implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  /** The first echo has come back. @throws {EvidenceMissing} when none does */
  static async open(lab: Lab, from: string, host: string, port: number, forMs: number) {
    const argv = [process.execPath, '-e', CLIENT, host, String(port), String(forMs)];
    const [file = '', ...args] = lab.execArgv(from, argv);
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const held = new HeldConnection(child, lines);
    const first = await held.#next();
    if (first.end === undefined) return held;
    throw new EvidenceMissing(`a connection from ${from} to ${host}:${port} (${first.end})`);
  }

  /** Resolves when the connection or its time has ended. */
  async ended(): Promise<HeldEnd> {
    const { end = 'unknown', echoed = 0 } = await this.#next();
    return { end, echoed };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async #next(): Promise<{ readonly end?: string; readonly echoed?: number }> {
    const line = await this.#lines.next();
    return line.done === true ? { end: 'no report' } : (JSON.parse(line.value) as HeldEnd);
  }
}
