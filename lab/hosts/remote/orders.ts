import { createHash } from 'node:crypto';

/** What the far end is told to do, on its command line. Every path is one over there. */
export type Order =
  | {
      readonly kind: 'unpack';
      /** Of one clone: its project, and its sessions. */
      readonly folder: string;
      readonly digest: string;
    }
  | RunOrder
  | { readonly kind: 'leash'; readonly socket: string }
  | { readonly kind: 'results'; readonly folder: string; readonly session: string };

export interface RunOrder {
  readonly kind: 'run';
  readonly folder: string;
  readonly session: string;
  /** Below the project. */
  readonly cwd: string;
  /** Verb and arguments. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where the leash is awaited; see {@link leashSocket}. */
  readonly socket: string;
  /** A leash that says nothing for so long counts as cut. */
  readonly silenceMs: number;
}

/** In the folder of a clone: the digest of what was unpacked last. */
export const SENT = 'sent';

/** Lines over the leash towards the program: `signal SIGINT`, and empty ones, which say that all is well. */
export const SIGNAL_LINE = 'signal ';
/** The line back, once, when the program has ended and left results. */
export const RESULTS_LINE = 'results';
/** What is said when results have come and may be removed over there. */
export const RECEIVED = 'received';

/** In an archive of results: whole runs, and single files that a person named, by number. */
export const RUNS = 'runs';
export const FILES = 'files';

/** As one word that every shell passes on as it is. */
export function encodeOrder(order: Order): string {
  return Buffer.from(JSON.stringify(order)).toString('base64url');
}

export function decodeOrder(word: string): Order {
  return JSON.parse(Buffer.from(word, 'base64url').toString()) as Order;
}

/**
 * An abstract socket: it leaves no file, however its owner ends (unix(7)). Everybody on that machine
 * sees its name on a command line, so that the secret behind it has to be shown, too.
 */
export function leashSocket(secret: string): string {
  return `ambient-lab-${createHash('sha256').update(secret).digest('hex')}`;
}

export function projectOf(folder: string): string {
  return `${folder}/project`;
}

export function sessionOf(folder: string, session: string): string {
  return `${folder}/sessions/${session}`;
}

/** Files that a person wants from one session, by number: `--html page.html`. */
export function fileOf(folder: string, session: string, number: number): string {
  return `${sessionOf(folder, session)}/${FILES}/${number}`;
}
