import { join } from 'node:path';
import { type Finished, runProgram, type RunOptions } from '../../../lab/hosts/run.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const PROGRAMS = process.env['AMBIENT_LAB_PROGRAMS'] ?? join(ROOT, 'build', 'programs');
const CLI = join(PROGRAMS, 'cli.mjs');

/** Runs the command line as the bin does; `AMBIENT_LAB_PROGRAMS` names another build of it. */
export function command(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runProgram([process.execPath, CLI, ...args], { timeoutMs: 60_000, ...options });
}

/** The same as another user, who may not make namespaces. */
export function commandAsNobody(args: readonly string[]): Promise<Finished> {
  return runProgram(
    ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, CLI, ...args],
    { timeoutMs: 60_000 },
  );
}
