import { parseSave } from '../redirect/parse-save.ts';
import type { Family } from '../redirect/rule.ts';
import type { SavedRules } from '../redirect/saved.ts';
import { DEFAULT_PROGRAMS, runProgram } from './programs.ts';
import type { Programs } from './programs.ts';

/** Where rules are read and written, and with which programs. */
export interface RulesPlace {
  /** Descriptor of the netns; this process's own when absent. */
  readonly netns?: number | undefined;
  readonly programs?: Programs | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of each change as nf_tables got it, where that can be seen. */
  readonly tap?: ((batch: Buffer) => void) | undefined;
}

/** Seconds that legacy iptables waits for /run/xtables.lock; the nft backend has no lock. */
const LOCK_WAIT_SECONDS = '5';

/**
 * All rules of one family in a netns.
 * @throws {ProgramError}
 * @throws {SavedRulesError} when the program prints what it never should
 */
export async function readRules(place: RulesPlace, family: Family): Promise<SavedRules> {
  const programs = place.programs ?? DEFAULT_PROGRAMS;
  const save = family === 'ipv4' ? programs.iptablesSave : programs.ip6tablesSave;
  const { netns, signal } = place;
  return parseSave(await runProgram([save], { netns, signal }));
}

/**
 * Loads restore text into a netns beside what is there (`--noflush`): all of a table or nothing.
 * @throws {ProgramError} `line 2 failed` when a chain exists already
 */
export async function restoreRules(
  place: RulesPlace,
  family: Family,
  input: string,
): Promise<void> {
  const programs = place.programs ?? DEFAULT_PROGRAMS;
  const restore = family === 'ipv4' ? programs.iptablesRestore : programs.ip6tablesRestore;
  await runProgram([restore, '--noflush', '-w', LOCK_WAIT_SECONDS], { ...place, input });
}
