import type { RemoteProcess, Terminal } from '../ssh/connection.ts';

/** The terminal of this process, when all three streams are one: then a program gets one over there. */
export function terminalHere(): Terminal | undefined {
  const { stdin, stdout, stderr } = process;
  if (!(stdin.isTTY && stdout.isTTY && stderr.isTTY)) return undefined;
  return { rows: stdout.rows, columns: stdout.columns, type: process.env['TERM'] ?? 'xterm' };
}

/**
 * Joins our three streams with those of a program over there, until the function that is given back
 * is called. On a terminal every key goes there as it is, Ctrl-C too.
 */
export function attachTerminal(remote: RemoteProcess): () => void {
  const terminal = terminalHere();
  join(remote.stdout, process.stdout);
  join(remote.stderr, process.stderr);
  // One that reads no input, or no more, is no fault.
  remote.stdin.on('error', () => {});
  const detachInput = attachInput(remote);
  if (terminal === undefined) return detachInput;
  const resize = (): void => {
    const { rows, columns } = process.stdout;
    remote.resize({ rows, columns });
  };
  process.stdout.on('resize', resize);
  process.stdin.setRawMode(true);
  return () => {
    process.stdin.setRawMode(false);
    process.stdout.off('resize', resize);
    detachInput();
  };
}

/** A terminal is read only when the program over there has it for its own: `| less` needs its keys. */
function attachInput(remote: RemoteProcess): () => void {
  const { stdin } = process;
  if (stdin.isTTY && terminalHere() === undefined) {
    remote.stdin.end();
    return () => {};
  }
  stdin.on('error', () => remote.stdin.end());
  stdin.pipe(remote.stdin);
  return () => {
    stdin.unpipe(remote.stdin);
    // It would keep this process alive.
    stdin.destroy();
  };
}

/** A reader here that has gone (`| head`) must not block who writes over there. */
function join(from: NodeJS.ReadableStream, to: NodeJS.WriteStream): void {
  from.pipe(to, { end: false });
  to.on('error', () => {
    from.unpipe(to);
    from.resume();
  });
}
