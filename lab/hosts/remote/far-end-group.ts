import { setTimeout as delay } from 'node:timers/promises';
import { allProcesses, processStat } from '../process-stat.ts';

/** What a program gets to end in order before the kernel ends it. */
const GRACE_MS = 10_000;
const LOOK_MS = 100;

/**
 * Ends everything in our process group and everything below us, except ourselves and those above us
 * (sudo). A lab that was built and is to stay is neither: its supervisor leads a group of its own, and
 * its client is gone.
 */
export async function endGroup(): Promise<void> {
  process.kill(0, 'SIGTERM');
  const until = performance.now() + GRACE_MS;
  while (others().length > 0 && performance.now() < until) await delay(LOOK_MS);
  for (const pid of others()) kill(pid);
}

function others(): readonly number[] {
  const own = processStat(process.pid);
  const all = allProcesses();
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  const above = ancestors(process.pid, parents);
  return all
    .filter(({ pid, group }) => {
      if (pid === process.pid || above.includes(pid)) return false;
      return group === own?.group || ancestors(pid, parents).includes(process.pid);
    })
    .map(({ pid }) => pid);
}

function ancestors(pid: number, parents: ReadonlyMap<number, number>): readonly number[] {
  const found: number[] = [];
  for (let at = parents.get(pid); at !== undefined && at > 0; at = parents.get(at)) found.push(at);
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
