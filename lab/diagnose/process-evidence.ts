import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab, LabStatus } from '../world/lab.ts';
import { seenFromOutside } from '../world/paths.ts';
import type { ProgramEvidence } from './evidence.ts';

/** What became of a program of the lab, by the supervisor's table and by its entry in /proc. */
export function readProgram(lab: Lab, status: LabStatus, name: string): ProgramEvidence {
  const found = status.processes.find((process) => process.name === name);
  if (found === undefined) return { end: 'it was never started' };
  const { pid, exit } = found;
  if (pid === undefined) return { end: `it ended: ${exit?.signal ?? `exit ${exit?.code ?? '?'}`}` };
  const stat = tryRead(() => readFileSync(seenFromOutside(lab, `/proc/${pid}/stat`), 'utf8'));
  // The name in parentheses may hold anything; the state is what follows it.
  const state = stat?.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return { pid, ...(state === undefined ? {} : { state }) };
}

/**
 * Inodes of the network namespaces that a program holds descriptors of, its own left out. One that
 * was opened by its mount is listed under that path, so what the links lead to is looked at.
 */
export function readHeldNetns(lab: Lab, pid: number | undefined): readonly number[] {
  if (pid === undefined) return [];
  const own = tryRead(() => statSync(seenFromOutside(lab, `/proc/${pid}/ns/net`)));
  const directory = seenFromOutside(lab, `/proc/${pid}/fd`);
  const held = (tryRead(() => readdirSync(directory)) ?? []).flatMap(
    (fd) => tryRead(() => statSync(join(directory, fd))) ?? [],
  );
  const inodes = held.filter(({ dev, ino }) => dev === own?.dev && ino !== own.ino);
  return [...new Set(inodes.map(({ ino }) => ino))];
}

/** Identity of a namespace of the lab. */
export function readNetnsInode(lab: Lab, netns: string): number {
  return statSync(seenFromOutside(lab, `/run/netns/${netns}`)).ino;
}

/** What a program went away from under our hands leaves: nothing. */
function tryRead<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
