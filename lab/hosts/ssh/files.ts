import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { ReadIncluded } from './config.ts';
import { matchesPatterns } from './patterns.ts';

/** The text of a file, undefined when there is none or it may not be read. */
export function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** A path with `~` as the home folder, and with the tokens of ssh_config(5) that paths may have. */
export function expandPath(
  path: string,
  home: string,
  tokens: Readonly<Record<string, string>> = {},
): string {
  const values: Readonly<Record<string, string>> = { d: home, '%': '%', ...tokens };
  const filled = path.replaceAll(/%(.)/g, (whole, token: string) => values[token] ?? whole);
  return filled === '~' || filled.startsWith('~/') ? join(home, filled.slice(1)) : filled;
}

/** Reads what `Include` of a person's own configuration means: below `~/.ssh` unless absolute. */
export function includedFrom(home: string): ReadIncluded {
  return (pattern) => {
    const path = expandPath(pattern, home);
    const whole = isAbsolute(path) ? path : join(home, '.ssh', path);
    return filesOf(whole).flatMap((file) => {
      const text = textOf(file);
      return text === undefined ? [] : [{ file, text }];
    });
  };
}

/** Patterns count in the last part of a path: `config.d/*`. */
function filesOf(path: string): readonly string[] {
  const [folder, name] = [dirname(path), basename(path)];
  if (!/[*?]/.test(name)) return [path];
  if (!existsSync(folder)) return [];
  const found = readdirSync(folder).filter((entry) => matchesPatterns(entry, [name]));
  return found.sort().map((entry) => join(folder, entry));
}
