import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { EvidenceMissing } from './finding.ts';
import type { Lab } from '../world/lab.ts';

/**
 * Plain Node, so that it runs in any pod: a line each 20 ms, until the end or the time-out. Without
 * its end, Envoy would wait for the rest of what might be a request.
 */
const CLIENT = `
const [host, port, forMs] = process.argv.slice(1);
const socket = require('node:net').connect({ host, port: Number(port) });
let echoed = 0, end;
const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
const stop = (how) => { if (end) return; end = how; say({ end, echoed }); process.exit(0); };
socket.on('data', () => { if (++echoed % 10 === 1) say({ echoed }); });
socket.on('error', (error) => stop(error.code));
socket.on('close', () => stop('closed'));
const timer = setInterval(() => socket.write('tick\\n'), 20);
setTimeout(() => stop('open'), Number(forMs));
`;

/** How a connection that was held open ended: `open` when its time was over first. */
export interface HeldEnd {
  readonly end: string;
  readonly echoed: number;
}

interface Line {
  readonly end?: string;
  readonly echoed?: number;
}

/** One connection in use, from a pod. */
export class HeldConnection implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #first: Promise<Line>;
  readonly #ended: Promise<HeldEnd>;
  #onFirst: (line: Line) => void = () => {};
  #onEnd: (end: HeldEnd) => void = () => {};
  #echoed = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#first = new Promise((resolve) => (this.#onFirst = resolve));
    this.#ended = new Promise((resolve) => (this.#onEnd = resolve));
    const lines = createInterface({ input: child.stdout! });
    lines.on('line', (line) => this.#take(JSON.parse(line) as Line));
    lines.on('close', () => this.#take({ end: 'no report', echoed: this.#echoed }));
  }

  /** The first echo has come back. @throws {EvidenceMissing} when none does */
  static async open(lab: Lab, from: string, host: string, port: number, forMs: number) {
    const argv = [process.execPath, '-e', CLIENT, host, String(port), String(forMs)];
    const [file, ...args] = lab.execArgv(from, argv);
    const held = new HeldConnection(spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] }));
    const first = await held.#first;
    if (first.end === undefined) return held;
    throw new EvidenceMissing(`a connection from ${from} to ${host}:${port} (${first.end})`);
  }

  /** Echoes so far, to the last ten. */
  get echoed(): number {
    return this.#echoed;
  }

  /** Resolves when the connection or its time has ended. */
  ended(): Promise<HeldEnd> {
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  #take(line: Line): void {
    this.#echoed = line.echoed ?? this.#echoed;
    this.#onFirst(line);
    if (line.end !== undefined) this.#onEnd({ end: line.end, echoed: this.#echoed });
  }
}
