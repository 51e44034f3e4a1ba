import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** USER_HZ: what /proc counts in, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** A process: its pid, or its directory in a /proc as seen from here (that of a lab, say). */
export type ProcessPlace = number | string;

/**
 * CPU seconds (user and system) that a process has used, its threads included: to the nanosecond
 * where the kernel tells it by thread (schedstat), else in hundredths of a second (proc(5)). A
 * thread that has ended is missing from the former; proxies keep theirs.
 */
export function cpuSeconds(place: ProcessPlace): number {
  const directory = directoryOf(place);
  return scheduledSeconds(directory) ?? tickedSeconds(directory);
}

export function totalCpuSeconds(places: readonly ProcessPlace[]): number {
  return places.reduce<number>((sum, place) => sum + cpuSeconds(place), 0);
}

function scheduledSeconds(directory: string): number | undefined {
  let nanoseconds = 0;
  for (const thread of readdirSync(`${directory}/task`)) {
    const text = readIfThere(`${directory}/task/${thread}/schedstat`);
    if (text !== undefined) nanoseconds += Number(text.split(' ')[0]);
  }
  return nanoseconds > 0 ? nanoseconds / 1e9 : undefined;
}

function tickedSeconds(directory: string): number {
  const stat = readFileSync(`${directory}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident bytes now, and the most there were since the process began or `forgetPeak`. */
export function residentBytes(place: ProcessPlace): {
  readonly now: number;
  readonly peak: number;
} {
  const status = readFileSync(`${directoryOf(place)}/status`, 'utf8');
  const field = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status);
    return Number(found?.[1] ?? 0) * 1024;
  };
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** From now on `residentBytes` gives a new peak (`clear_refs` of proc(5), value 5). */
export function forgetPeak(place: ProcessPlace): void {
  writeFileSync(`${directoryOf(place)}/clear_refs`, '5');
}

function directoryOf(place: ProcessPlace): string {
  return typeof place === 'number' ? `/proc/${place}` : place;
}

/** Nothing for a thread that ended meanwhile, and where the kernel has no such file. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
