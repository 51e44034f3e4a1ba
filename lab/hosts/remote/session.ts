import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { SshError } from '../ssh/errors.ts';
import type { RemoteProcess } from '../ssh/connection.ts';
import { orLost, type Host } from './host.ts';
import { attachTerminal, terminalHere } from './local-terminal.ts';
import { leashSocket, RESULTS_LINE, SIGNAL_LINE, type RunOrder } from './orders.ts';

/** A verb to run over there. */
export interface Verb {
  /** Of this one run; its folder over there has that name. */
  readonly session: string;
  readonly cwd: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly silenceMs: number;
}

export interface VerbEnd {
  readonly exitCode: number;
  readonly hasResults: boolean;
}

/** Tells the listener of every signal that a person sends from here; gives what ends the telling. */
export type OnSignal = (listener: (name: NodeJS.Signals) => void) => () => void;

const BEATS = 6;

/**
 * Runs a verb over there on the streams and the terminal of this process, to its end.
 *
 * @throws SshError LAB_SSH_LOST when the connection dies; what ran over there is ended there
 */
export async function runVerb(host: Host, verb: Verb, onSignal: OnSignal): Promise<VerbEnd> {
  const secret = randomBytes(16).toString('hex');
  const { silenceMs, ...rest } = verb;
  const socket = leashSocket(secret);
  const order: RunOrder = { kind: 'run', folder: host.folder, socket, silenceMs, ...rest };
  const program = await host.start(order, terminalHere());
  const leash = holdLeash(await host.start({ kind: 'leash', socket }), secret, silenceMs);
  const detach = attachTerminal(program);
  const stopTelling = onSignal((name) => leash.say(`${SIGNAL_LINE}${name}`));
  try {
    const { exitCode, signal } = await orLost(host, program.ended);
    if (exitCode === undefined) {
      const by = signal === undefined ? 'somebody' : `SIG${signal}`;
      throw new SshError(
        'LAB_SSH_LOST',
        `What ran over there was killed by ${by}, an end was wished`,
      );
    }
    return { exitCode, hasResults: await orLost(host, leash.hasResults) };
  } finally {
    stopTelling();
    detach();
    leash.release();
  }
}

interface Leash {
  /** Settles when the other end has let go. */
  readonly hasResults: Promise<boolean>;
  say(line: string): void;
  release(): void;
}

/** Keeps saying that we are there, until it is released. */
function holdLeash(remote: RemoteProcess, secret: string, silenceMs: number): Leash {
  const say = (line: string): void => void remote.stdin.write(`${line}\n`);
  remote.stdin.on('error', () => {});
  remote.stderr.pipe(process.stderr, { end: false });
  let hasResults = false;
  createInterface({ input: remote.stdout }).on('line', (line) => {
    hasResults ||= line === RESULTS_LINE;
  });
  say(secret);
  const beat = setInterval(() => say(''), silenceMs / BEATS);
  return {
    hasResults: remote.ended.then(() => hasResults),
    say,
    release: () => {
      clearInterval(beat);
      remote.stdin.end();
    },
  };
}
