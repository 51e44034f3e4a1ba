import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ProgramError } from './errors.ts';
import { mayHaveRules } from './leftovers.ts';
import { DEFAULT_PROGRAMS, programsOf, runProgram } from './programs.ts';
import type { Programs } from './programs.ts';
import { readRules } from './rules-in-netns.ts';
import type { RulesPlace } from './rules-in-netns.ts';

/**
 * The programs of the backend that a node uses, as Istio's agent decides (`tools/istio-iptables/pkg/dependencies`,
 * `DetectIptablesVersion`, 1.25 and later): legacy where its programs are there and have rules, else
 * nft where its programs are there, else whatever `iptables` is. Upstream's look at legacy tables
 * makes empty ones (istio/istio#61020); this one asks the kernel first.
 * @throws {ProgramError} when there is no iptables at all
 */
export async function detectPrograms(place: RulesPlace = {}): Promise<Programs> {
  const base = place.programs ?? DEFAULT_PROGRAMS;
  if (mayHaveRules('legacy', 'ipv4', place.netns) && (await hasLegacyRules(place, base))) {
    return programsOf('legacy', base);
  }
  const nft = programsOf('nft', base);
  if (isThere(nft.iptablesSave)) return nft;
  const version = await runProgram(['iptables', '--version']);
  // Legacy says "(legacy)", or nothing at all before 1.8.
  return { ...base, backend: version.includes('nf_tables') ? 'nft' : 'legacy' };
}

async function hasLegacyRules(place: RulesPlace, base: Programs): Promise<boolean> {
  try {
    const saved = await readRules({ ...place, programs: programsOf('legacy', base) }, 'ipv4');
    return saved.tables.some(
      ({ chains, rules }) => rules.length > 0 || chains.some((chain) => chain.policy === undefined),
    );
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** Looks for a program as a shell does, without starting it. */
function isThere(program: string): boolean {
  const folders = program.includes('/') ? [''] : (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function isAbsent(error: unknown): boolean {
  if (!(error instanceof ProgramError)) return false;
  return (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
