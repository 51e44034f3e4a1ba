import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FAULT_NAMES, type FaultName } from '../../topologies/fault-names.ts';
import { FaultError } from './errors.ts';
import type { Saved } from './fault.ts';

/** A fault that was made and not mended. */
export interface JournalEntry {
  readonly fault: FaultName;
  /** Name of the pod (`demo/sleep`) or node. */
  readonly at: string;
  /** `breaking`: whoever made it was ended half-way; mending takes back what there is. */
  readonly state: 'breaking' | 'broken';
  readonly brokenMs: number;
  readonly saved: Saved;
}

/**
 * Faults of one lab, one a place, a file each below the lab's directory, so that they end with it.
 * The file is there before anything is changed: whatever becomes of who breaks, it can be mended.
 */
export class FaultJournal {
  readonly #directory: string;

  constructor(labDirectory: string) {
    this.#directory = join(labDirectory, 'faults');
  }

  /** Those that are not mended, oldest first. */
  async list(): Promise<readonly JournalEntry[]> {
    const names = await readdir(this.#directory).catch(() => []);
    const entries = await Promise.all(
      names.filter((name) => name.endsWith('.json')).map((name) => this.#read(name)),
    );
    return entries.flatMap((entry) => entry ?? []).toSorted((a, b) => a.brokenMs - b.brokenMs);
  }

  /** @returns false when it is there already, made by whomever */
  async open(entry: JournalEntry): Promise<boolean> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    try {
      await writeFile(this.#file(entry), JSON.stringify(entry), { flag: 'wx', mode: 0o600 });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  async update(entry: JournalEntry): Promise<void> {
    await writeFile(`${this.#file(entry)}.new`, JSON.stringify(entry), { mode: 0o600 });
    await rename(`${this.#file(entry)}.new`, this.#file(entry));
  }

  async close(entry: Pick<JournalEntry, 'at'>): Promise<void> {
    await rm(this.#file(entry), { force: true });
  }

  #file({ at }: Pick<JournalEntry, 'at'>): string {
    return join(this.#directory, `${at.replace('/', '.')}.json`);
  }

  async #read(name: string): Promise<JournalEntry | undefined> {
    const file = join(this.#directory, name);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    // Mended meanwhile by another, or only just being written.
    if (text === undefined || text === '') return undefined;
    try {
      const entry = JSON.parse(text) as JournalEntry;
      if (FAULT_NAMES.includes(entry.fault)) return entry;
    } catch {
      // Told below.
    }
    const message = `Cannot read the fault in "${file}": it is not one that break has written`;
    throw new FaultError('LAB_FILE_FAULT', name, message);
  }
}
