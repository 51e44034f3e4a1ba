import { writeFileSync } from 'node:fs';
import { withNetns } from '../../dataplane/kernel/netns.ts';
import { readSmallFiles, writeSmallFiles } from '../../dataplane/kernel/small-files.ts';
import type { NetnsPlan } from '../plan/plan.ts';
import { LabError } from './errors.ts';

/** Sysctls by key, with dots. */
type Sysctls = ReadonlyMap<string, string | undefined>;

/**
 * What the settings of a fresh netns are before anybody writes them: the same in all that one
 * process makes, so each key is read once.
 */
export class FreshSysctls {
  readonly #seen = new Map<string, string | undefined>();

  /** Reads what is not known yet in a namespace in which nothing has been written so far. */
  learn(fd: number, keys: readonly string[]): Sysctls {
    const unknown = keys.filter((key) => !this.#seen.has(key));
    for (const [key, value] of readSysctls(fd, unknown)) this.#seen.set(key, value);
    return this.#seen;
  }
}

/**
 * Makes the settings of a fresh netns be as planned. Those that it has anyway are left alone, except
 * on nodes: there `ip_forward` changes others.
 *
 * @throws LabError LAB_BUILD_FAILED
 */
export function writeSysctls(netns: NetnsPlan, fd: number, fresh: FreshSysctls): void {
  const wished = Object.entries(netns.sysctls);
  const optional = Object.entries(netns.sysctlsIfPresent ?? {});
  const seen = fresh.learn(
    fd,
    [...wished, ...optional].map(([key]) => key),
  );
  const isNeeded = ([key, value]: readonly [string, string]): boolean =>
    netns.role === 'node' || seen.get(key) !== value;
  const writes = [
    ...wished.filter(isNeeded),
    ...optional.filter(([key]) => seen.get(key) !== undefined).filter(isNeeded),
  ];
  const paths = writes.map(([key]) => sysctlPath(key));
  const values = writes.map(([, value]) => value);
  const failed = writeSmallFiles(fd, paths, values);
  if (failed >= 0) explain(netns.name, fd, ...writes[failed]!);
}

/** Sysctls that read otherwise than the plan wants: `net.ipv4.ip_forward: 0, 1 wished`. */
export function differingSysctls(netns: NetnsPlan, fd: number): string[] {
  const optional = netns.sysctlsIfPresent ?? {};
  const wished = { ...netns.sysctls, ...optional };
  const seen = readSysctls(fd, Object.keys(wished));
  return Object.entries(wished).flatMap(([key, value]) => {
    const now = seen.get(key);
    if (now === undefined && key in optional) return [];
    return now === value ? [] : [`${key}: ${now ?? 'absent'}, ${value} wished`];
  });
}

function readSysctls(fd: number, keys: readonly string[]): Sysctls {
  const texts = readSmallFiles(fd, keys.map(sysctlPath));
  return new Map(
    keys.map((key, index) => [key, texts[index]?.trim().replaceAll(/\s+/g, ' ')] as const),
  );
}

/** Writes one again for Node's words. */
function explain(netns: string, fd: number, key: string, value: string): never {
  const fault = `Cannot set "${key}" to ${value} in "${netns}"`;
  try {
    withNetns(fd, () => writeFileSync(sysctlPath(key), value));
  } catch (cause) {
    throw new LabError('LAB_BUILD_FAILED', fault, { cause });
  }
  throw new LabError('LAB_BUILD_FAILED', fault);
}

function sysctlPath(key: string): string {
  return `/proc/sys/${key.replaceAll('.', '/')}`;
}
