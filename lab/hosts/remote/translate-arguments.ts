import { existsSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { SshError } from '../ssh/errors.ts';

export interface Translation {
  readonly args: readonly string[];
  /** Below the project, over there. */
  readonly cwd: string;
  /** Where a person wants results here; undefined where they go by default. */
  readonly results: string | undefined;
  /** Files that are to be brought back, by number. */
  readonly files: readonly string[];
}

export interface Places {
  readonly root: string;
  readonly cwd: string;
  /** Paths that are sent, below the root. */
  readonly sent: ReadonlySet<string>;
  /** The path over there of the file with that number. */
  readonly remoteFile: (number: number) => string;
}

/** Options whose value is a file that the verb writes. */
const WRITTEN = ['--html', '--junit'];

/**
 * Turns the arguments of a verb into those that mean the same over there. What follows `--` is a
 * program's own and stays.
 *
 * @throws SshError LAB_BAD_FILE for a file that is here and is not sent, LAB_BAD_OPTION for what
 *   would change files of this project
 */
export function translateArguments(args: readonly string[], places: Places): Translation {
  const end = args.indexOf('--');
  const own = splitValues(end < 0 ? args : args.slice(0, end));
  const translated: string[] = [];
  const files: string[] = [];
  let results: string | undefined;
  for (let index = 0; index < own.length; index++) {
    const arg = own[index] ?? '';
    const value = own[index + 1];
    if (arg === '--update') throw refuseUpdate();
    if (arg === '--results' && value !== undefined) {
      results = resolve(places.cwd, value);
      index++;
    } else if (WRITTEN.includes(arg) && value !== undefined) {
      translated.push(arg, places.remoteFile(files.length));
      files.push(resolve(places.cwd, value));
      index++;
    } else {
      translated.push(arg.startsWith('-') ? arg : translatePath(arg, places));
    }
  }
  const rest = end < 0 ? [] : args.slice(end);
  return { args: [...translated, ...rest], cwd: below(places.cwd, places.root), results, files };
}

/** `--option=value` as two. */
function splitValues(args: readonly string[]): readonly string[] {
  return args.flatMap((arg) => {
    const [, option, value] = /^(--[a-z-]+)=(.*)$/s.exec(arg) ?? [];
    return option === undefined || value === undefined ? [arg] : [option, value];
  });
}

/** An argument that is no file of this machine stays as it is: a pod, a URL, a number. */
function translatePath(arg: string, { root, cwd, sent }: Places): string {
  const path = resolve(cwd, arg);
  if (arg === '' || !existsSync(path) || !statSync(path).isFile()) return arg;
  const inProject = relative(root, path).split(sep).join('/');
  if (!sent.has(inProject)) {
    throw new SshError(
      'LAB_BAD_FILE',
      `Cannot send "${arg}": git does not track it in ${root}, and only what it tracks is sent`,
      { hint: `Copy it into the project if it is not there, then: git add ${arg}` },
    );
  }
  const remoteCwd = below(cwd, root);
  return remoteCwd === '' ? inProject : relative(join('/', remoteCwd), join('/', inProject));
}

/** Empty for the root itself, and for a place outside of it. */
function below(path: string, root: string): string {
  const inside = relative(root, path);
  return inside.startsWith('..') ? '' : inside.split(sep).join('/');
}

function refuseUpdate(): SshError {
  return new SshError(
    'LAB_BAD_OPTION',
    'Cannot use --update on another machine: it changes baselines in the project, which stay over there',
    { hint: 'Run it where the project is, or in the machine itself.' },
  );
}
