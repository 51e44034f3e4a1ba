import { type Finished, runProgram } from '../hosts/run.ts';
import { LabError } from './errors.ts';
import type { ExecOptions, Lab } from './lab.ts';

export interface InPlaceOptions extends Pick<ExecOptions, 'user'> {
  readonly input?: string;
  /** It is killed after this. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 20_000;

/** Runs a program in a place of a lab to its end; never throws for what it answers. */
export function finishInPlace(
  lab: Pick<Lab, 'execArgv'>,
  place: string,
  argv: readonly string[],
  { user, timeoutMs = TIMEOUT_MS, ...options }: InPlaceOptions = {},
): Promise<Finished> {
  const entered = lab.execArgv(place, argv, user === undefined ? {} : { user });
  return runProgram(entered, { ...options, timeoutMs });
}

/**
 * What a program printed in a place of a lab.
 * @throws LabError LAB_PROGRAM_FAILED when it ends with another status than 0
 */
export async function inPlace(
  lab: Pick<Lab, 'execArgv'>,
  place: string,
  argv: readonly string[],
  input?: string,
): Promise<string> {
  const done = await finishInPlace(lab, place, argv, input === undefined ? {} : { input });
  if (done.exitCode === 0) return done.stdout;
  throw new LabError(
    'LAB_PROGRAM_FAILED',
    `Cannot run "${argv.join(' ')}" in ${place}: it ended with ${done.exitCode}: ${done.stderr.trim()}`,
  );
}

/** The same, and nothing where the program is not installed or has nothing to tell. */
export async function tryInPlace(
  lab: Pick<Lab, 'execArgv'>,
  place: string,
  argv: readonly string[],
): Promise<string | undefined> {
  const done = await finishInPlace(lab, place, argv);
  return done.exitCode === 0 ? done.stdout : undefined;
}
