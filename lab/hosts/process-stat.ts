import { readdirSync, readFileSync } from 'node:fs';

/** Where a process stands among others. */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/**
 * proc(5), `stat`: parent and group are the fourth and fifth field; the second, a name in brackets,
 * may hold anything. Undefined for a process that is not there.
 */
export function processStat(pid: number): ProcessStat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(parent), group: Number(group) };
  } catch {
    return undefined;
  }
}

/** Every process that is seen from here. */
export function allProcesses(): readonly ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processStat(Number(name)) ?? []);
}
