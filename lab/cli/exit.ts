import { constants } from 'node:os';

/** Exit codes of every verb; scripts and CI rely on them (design: command line). */
export const EXIT = {
  /** Everything asked for held. */
  held: 0,
  /** An expectation failed. */
  failed: 1,
  /** The input is wrong; nothing was changed. */
  badInput: 2,
  /** This machine cannot run it; the message says what is missing. */
  cannotRun: 3,
  /** A fault of the lab itself. */
  bug: 4,
} as const;

/** Codes of errors that are the caller's to mend, by prefix. */
const BAD_INPUT = [
  'TOPOLOGY_',
  'LAB_UNKNOWN_',
  'LAB_EXISTS',
  'LAB_NOT_RUNNING',
  'LAB_BAD_',
  'LAB_FILE_',
  'LAB_AMBIGUOUS_POD',
  'LAB_NO_CAPTURE',
  'LAB_NO_MESH',
  'LAB_PCAP_',
  'LAB_PLAN_',
  'LAB_BUSY',
  'LAB_STARTING',
  'LAB_NO_',
  'DATAPLANE_REDIRECT_SAVE_',
  'commander.',
];
/** Beside what the machine lacks: programs of the lab that somebody killed, disks that are full. */
const CANNOT_RUN = [
  'LAB_CANNOT_RUN',
  'LAB_NOT_ROOT',
  'DATAPLANE_REDIRECT_ERA_',
  'LAB_PROGRAM_',
  'LAB_PROCESS_KILLED',
  'LAB_SUPERVISOR_DIED',
  'LAB_RECORDER_',
  'LAB_RESULTS_',
  'LAB_SSH_',
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'ENOMEM',
];

/** An error whose message is all a person needs: no stack, and the exit code that goes with it. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** The work was ended by a signal. Its exit code is the shell's: 128 + the signal's number. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly code = 'LAB_INTERRUPTED';
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`Interrupted by ${signal}`);
    this.signal = signal;
  }

  get exitCode(): number {
    return 128 + constants.signals[this.signal];
  }
}

/** The exit code for an error that ended a verb. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  const code = codeOf(error);
  if (CANNOT_RUN.some((prefix) => code.startsWith(prefix))) return EXIT.cannotRun;
  if (BAD_INPUT.some((prefix) => code.startsWith(prefix))) return EXIT.badInput;
  return EXIT.bug;
}

/** What a person is shown: the message and the hint; stack and causes when asked for, or when we are at fault. */
export function describeError(error: unknown, withStack: boolean): string {
  if (!(error instanceof Error)) return String(error);
  const hint = 'hint' in error && typeof error.hint === 'string' ? `\n${error.hint}` : '';
  const isBug = exitCodeFor(error) === EXIT.bug;
  return `${withStack || isBug ? stackWithCauses(error) : error.message}${hint}`;
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

function stackWithCauses(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by ${stackWithCauses(error.cause)}` : own;
}
