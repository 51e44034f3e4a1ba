import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Lab } from '../world/lab.ts';

/** Plain Node: a new connection each 25 ms, one question on each, until standard input ends. */
const CLIENT = `
const [host, port, timeoutMs] = process.argv.slice(1);
const ends = {}, open = new Set();
let done = false;
const one = () => {
  const socket = require('node:net').connect({ host, port: Number(port) });
  open.add(socket);
  const end = (how) => {
    if (!open.delete(socket)) return;
    ends[how] = (ends[how] || 0) + 1;
    socket.destroy();
    if (done && open.size === 0) report();
  };
  socket.setTimeout(Number(timeoutMs), () => end('timeout'));
  socket.on('connect', () => socket.write('GET /get HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'));
  socket.on('data', () => end('ok'));
  socket.on('error', (error) => end(error.code));
  socket.on('close', () => end('closed'));
};
const timer = setInterval(one, 25);
const report = () => { process.stdout.write(JSON.stringify(ends)); process.exit(0); };
process.stdin.on('end', () => {
  clearInterval(timer);
  done = true;
  if (open.size === 0) report();
}).resume();
`;

/** How many connections ended how: `ok` for an answer, else `timeout`, `ECONNREFUSED`, … */
export type StreamEnds = Readonly<Record<string, number>>;

/** New connections from a pod, one after the other, for as long as this lives. */
export class ConnectionStream implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #output: Promise<string>;

  constructor(lab: Lab, from: string, host: string, port: number, timeoutMs = 3_000) {
    const argv = [process.execPath, '-e', CLIENT, host, String(port), String(timeoutMs)];
    const [file, ...args] = lab.execArgv(from, argv);
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#output = textOf(this.#child);
  }

  /** Makes no more, and tells how all ended. */
  async finish(): Promise<StreamEnds> {
    this.#child.stdin?.end();
    const text = await this.#output;
    return text === '' ? {} : (JSON.parse(text) as StreamEnds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

async function textOf({ stdout }: ChildProcess): Promise<string> {
  let text = '';
  for await (const part of stdout!) text += String(part);
  return text;
}

/** Those that got no answer, and all. */
export function failedOf(ends: StreamEnds): { readonly failed: number; readonly all: number } {
  const all = Object.values(ends).reduce((sum, count) => sum + count, 0);
  return { failed: all - (ends['ok'] ?? 0), all };
}

/** `120 ok, 3 timeout`. */
export function endsText(ends: StreamEnds): string {
  return (
    Object.entries(ends)
      .map(([how, count]) => `${count} ${how}`)
      .join(', ') || 'none made'
  );
}
