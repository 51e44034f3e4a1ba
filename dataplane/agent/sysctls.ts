import { readFileSync, writeFileSync } from 'node:fs';
import { withNetns } from '../kernel/netns.ts';
import type { SysctlEntry } from '../redirect/rule.ts';
import { SysctlError } from './errors.ts';

/**
 * Makes the settings be so, and reads them back.
 * @returns whether any was otherwise
 * @throws {SysctlError} naming the first that cannot be had
 */
export function ensureSysctls(netns: number | undefined, entries: readonly SysctlEntry[]): boolean {
  const work = (): boolean => {
    const wrong = entries.filter(({ key, value }) => read(key) !== value);
    for (const { key, value } of wrong) write(key, value);
    return wrong.length > 0;
  };
  return netns === undefined ? work() : withNetns(netns, work);
}

/** Those of the settings that are otherwise: `key: seen, wished`. */
export function differingSysctls(
  netns: number | undefined,
  entries: readonly SysctlEntry[],
): readonly string[] {
  const work = (): readonly string[] =>
    entries.flatMap(({ key, value }) => {
      const seen = read(key);
      return seen === value ? [] : [`${key}: ${seen ?? 'absent'}, ${value} wished`];
    });
  return netns === undefined ? work() : withNetns(netns, work);
}

function write(key: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${key}`, value);
  } catch (error) {
    throw new SysctlError(key, value, (error as Error).message, error);
  }
  const seen = read(key);
  if (seen !== value) throw new SysctlError(key, value, `the kernel has "${seen ?? 'nothing'}"`);
}

function read(key: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${key}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
