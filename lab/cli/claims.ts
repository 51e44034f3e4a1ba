import { join } from 'node:path';
import type { Command } from 'commander';
import { ERAS } from '../../dataplane/redirect/era.ts';
import { didYouMean } from '../../topologies/nearest.ts';
import { ALL_CLAIMS } from '../claims/all-claims.ts';
import type { Claim, ClaimEra } from '../claims/claim.ts';
import {
  type ClaimResult,
  CLAIMS_SCHEMA,
  runClaims,
  unsettled,
  writeClaims,
} from '../claims/run-claims.ts';
import type { Plan } from '../plan/plan.ts';
import { renderClaims, renderClaimsJunit, renderClaimsMarkdown } from '../report/claims.ts';
import { writeClaimsPage } from '../report/html/claims-page.ts';
import { inRunDirectory, requireResults } from '../run/results.ts';
import { createLab } from '../world/client.ts';
import { eraAmong } from './choices.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import { type Output, shortPath } from './output.ts';
import { followBuild } from './progress.ts';
import {
  planFromFile,
  requireCapabilities,
  resultsOption,
  topologiesRoot,
  topologyOption,
} from './world.ts';

interface ClaimsOptions {
  readonly era?: readonly string[];
  readonly topology: string;
  readonly results: string;
  readonly list?: boolean;
  readonly html?: string;
  readonly json?: boolean;
}

/** Eras of claims for which a lab is built: those of ambient, and a mesh with sidecars. */
const BUILT_ERAS = [...ERAS, 'sidecar'] as const;
type BuiltEra = (typeof BUILT_ERAS)[number];

/** `claims`: what is said about the data plane, settled with packets, sockets and rules. */
export function addClaims(program: Command, context: CommandContext): void {
  program
    .command('claims')
    .summary('settle what is said about the data plane: holds, refuted or could not run')
    .description(
      'Builds one lab an era and asks every claim about it. Exit code 0: each outcome is the one that is\n' +
        'recorded with its claim, 1: one differs. What could not run says what it needs.',
    )
    .argument('[ids...]', 'claims by their ids, or the beginnings of ids; all unless given')
    .option('--era <era...>', 'eras to build; all that this version can build unless given')
    .addOption(
      topologyOption('another world for eras of ambient; it needs the same pods', 'claims.yaml'),
    )
    .addOption(resultsOption('where results go'))
    .option('--html <file>', 'also an HTML page of the results')
    .option('--list', 'only list the claims, build nothing')
    .option('--json', 'the results as one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- claims encap-01 rule --era inpod-tproxy')
    .action(async (ids: readonly string[], options: ClaimsOptions) => {
      const output = context.output(options.json === true);
      const claims = chooseClaims(ids);
      const eras = options.era?.map((word) => eraAmong(word, BUILT_ERAS)) ?? BUILT_ERAS;
      if (options.list === true) return listClaims(claims, output);
      requireRoot('claims');
      await requireResults(options.results);
      process.exitCode = await inRunDirectory(options.results, 'claims', new Date(), (directory) =>
        settleAll(claims, eras, { ...options, directory, output, signal: context.signal }),
      );
    });
}

interface Settling extends ClaimsOptions {
  readonly directory: string;
  readonly output: Output;
  readonly signal: AbortSignal;
}

async function settleAll(
  claims: readonly Claim[],
  eras: readonly BuiltEra[],
  options: Settling,
): Promise<number> {
  const { directory, output } = options;
  const results: ClaimResult[] = [];
  for (const era of eras) results.push(...(await settleEra(claims, era, options)));
  if (options.era === undefined) results.push(...elsewhere(claims, eras));
  const value = { schema: CLAIMS_SCHEMA, claims: results };
  await writeClaims(directory, {
    'claims.json': JSON.stringify(value, null, 2),
    'claims.xml': renderClaimsJunit(results),
    'claims.md': renderClaimsMarkdown(results),
  });
  if (options.html !== undefined) await writeClaimsPage(options.html, results);
  output.result({ ...value, directory }, () => {
    const text = renderClaims(results, { color: output.color, width: output.width });
    return `${text}\nResults in ${shortPath(directory)}`;
  });
  return results.every(({ asExpected }) => asExpected) ? EXIT.held : EXIT.failed;
}

async function settleEra(
  claims: readonly Claim[],
  era: BuiltEra,
  { topology, directory, output, signal, era: chosen }: Settling,
): Promise<readonly ClaimResult[]> {
  const own = claims.filter(({ eras }) => eras.includes(era));
  if (own.every(({ check }) => check === undefined)) return unsettled(own, era);
  const plan = planOf(era, topology);
  try {
    await requireCapabilities(plan);
  } catch (error) {
    // Asked for by name it is the user's to know; among all eras it is one that could not run.
    if (chosen !== undefined || !(error instanceof CommandError)) throw error;
    output.note(error.message);
    return unsettled(own, era);
  }
  await using lab = await followBuild(output, (onProgress) =>
    createLab(plan, { onProgress, signal }),
  );
  return await runClaims(lab, own, {
    era,
    directory: join(directory, era),
    signal,
    onClaim: ({ id, outcome, durationMs }) =>
      output.note(`${String(durationMs).padStart(6)} ms  ${id}: ${outcome}`),
  });
}

/** The world of an era; with sidecars that is one of pods of every kind, in the newest era. */
function planOf(era: BuiltEra, topology: string): Plan {
  const lab = `claims-${era}-${process.pid}`;
  if (era !== 'sidecar') return planFromFile(topology, { era, lab });
  return planFromFile(join(topologiesRoot(), 'mixed.yaml'), { lab });
}

/** Eras that were not built, when all were asked for: each of their claims is told, none is assumed. */
function elsewhere(claims: readonly Claim[], eras: readonly BuiltEra[]): readonly ClaimResult[] {
  const built: readonly ClaimEra[] = eras;
  const others = new Set(
    claims.flatMap((claim) => claim.eras).filter((era) => !built.includes(era)),
  );
  return [...others].flatMap((era) =>
    unsettled(
      claims.filter((claim) => claim.eras.includes(era)),
      era,
    ),
  );
}

/** @throws CommandError LAB_UNKNOWN_CLAIM */
function chooseClaims(ids: readonly string[]): readonly Claim[] {
  for (const id of ids) {
    if (ALL_CLAIMS.some((claim) => isMeant(claim, id))) continue;
    const known = ALL_CLAIMS.map((claim) => claim.id);
    const hint = didYouMean(id, known) ?? 'List them with --list';
    throw new CommandError('LAB_UNKNOWN_CLAIM', `Cannot find the claim "${id}"`, hint);
  }
  return ALL_CLAIMS.filter((claim) => ids.length === 0 || ids.some((id) => isMeant(claim, id)));
}

function isMeant({ id }: Claim, word: string): boolean {
  return id === word || id.startsWith(`${word}-`);
}

function listClaims(claims: readonly Claim[], output: Output): void {
  const rows = claims.map(({ check: _check, ...claim }) => claim);
  output.result(rows, () =>
    rows.map(({ id, eras, statement }) => `${id}  [${eras.join(' ')}]  ${statement}`).join('\n'),
  );
}
