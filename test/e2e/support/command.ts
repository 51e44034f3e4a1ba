import { join } from 'node:path';
import { type Finished, runProgram, type RunOptions } from '../../../lab/hosts/run.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const CLI = join(ROOT, 'build', 'programs', 'cli.mjs');

/** Runs the command line as the bin does, from the project's folder. */
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
