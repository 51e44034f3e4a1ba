import { existsSync } from 'node:fs';
import type { ExecOptions } from './lab.ts';

/** Programs that a lab hides behind its own /run would not find a directory there. */
const HIDDEN = /^\/(run|proc)(\/|$)/;

/**
 * The argument list that runs a program in a namespace of a lab: mount and PID namespaces of the
 * supervisor, then what `ip netns exec` does (netns, /sys, resolv.conf). `env` at the end gives the
 * exit codes of a shell (126 not executable, 127 not found), and the program dies with the one who
 * started it.
 */
export function enterArgv(
  supervisorPid: number,
  netns: string,
  argv: readonly string[],
  options: Pick<ExecOptions, 'env' | 'user' | 'cwd'> = {},
): readonly [string, ...string[]] {
  const { user, env = {}, cwd = process.cwd() } = options;
  const directory = HIDDEN.test(cwd) || !existsSync(cwd) ? '/' : cwd;
  const identity = user === undefined ? [] : identityArgs(user);
  return [
    'setpriv',
    ...['--pdeathsig', 'KILL', '--'],
    ...['nsenter', '-t', String(supervisorPid), '-m', '-p', '--'],
    ...['ip', 'netns', 'exec', netns],
    // Last: changing the user would clear it.
    ...['setpriv', '--pdeathsig', 'KILL', ...identity, '--'],
    ...['env', '-C', directory, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    ...argv,
  ];
}

function identityArgs(user: number): readonly string[] {
  return ['--reuid', String(user), '--regid', String(user), '--clear-groups'];
}
