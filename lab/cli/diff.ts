import type { Command } from 'commander';
import { ERA_NAMES } from '../../topologies/era.ts';
import { compareEras, readEra, type EraReading } from '../compare/compare-eras.ts';
import { findParty } from '../plan/names.ts';
import type { Plan } from '../plan/plan.ts';
import { renderEraDiff } from '../report/era-diff.ts';
import { writeDiffPage } from '../report/html/diff-page.ts';
import { requireResults } from '../run/results.ts';
import { createLab } from '../world/client.ts';
import { eraNamed } from './choices.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Output } from './output.ts';
import { followBuild } from './progress.ts';
import { observeOne, oneRequest } from './trace.ts';
import { planFromFile, requireCapabilities, resultsOption, topologyOption } from './world.ts';

interface DiffOptions {
  readonly topology: string;
  readonly from?: string;
  readonly to?: string;
  readonly place?: readonly string[];
  readonly all?: boolean;
  readonly html?: string;
  readonly exitCode?: boolean;
  readonly lab?: string;
  readonly results: string;
  readonly json?: boolean;
}

/** `diff`: two eras of one topology side by side, both really built, one after the other. */
export function addDiff(program: Command, context: CommandContext): void {
  program
    .command('diff')
    .summary('two eras of one topology side by side, read from the kernel')
    .description(
      'Builds the topology in one era and then in the other, makes one request in each, and shows\n' +
        'rules, policy rules, routes, links, sockets and settings of the places on its way beside\n' +
        'each other, and the way itself: = same, | changed, < left only, > right only.\n' +
        'Exit code 1 when the request fails in one of them, with --exit-code also when they differ.',
    )
    .argument('<left>', `one of ${ERA_NAMES.join(', ')}`)
    .argument('<right>', 'the same')
    .addOption(topologyOption('topology file', 'two-nodes.yaml'))
    .option('--from <party>', 'who makes the request; that of the first scenario unless given')
    .option('--to <target>', 'http://…, tcp://host:port or udp://host:port')
    .option(
      '--place <place...>',
      'a pod, a node, ztunnel/<node>; those of the request unless given',
    )
    .option('--html <file>', 'also an HTML page of the comparison')
    .option('--all', 'list lines that are the same, too')
    .option('--exit-code', 'exit code 1 when anything differs')
    .option('--lab <name>', 'name of both labs; that of the topology unless given')
    .addOption(resultsOption('where the captures go'))
    .option('--json', 'one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- diff inpod-tproxy inpod-redirect --place demo/httpbin',
    )
    .action(async (left: string, right: string, options: DiffOptions) => {
      requireRoot('diff');
      const eras = [left, right].map(eraNamed);
      const output = context.output(options.json === true);
      await requireResults(options.results);
      const plans = eras.map((era) =>
        planFromFile(options.topology, { era, lab: options.lab }),
      ) as [Plan, Plan];
      for (const plan of plans) await requireCapabilities(plan);
      const request = requestOf(plans[0], options);
      const places = placesOf(plans[0], request, options.place);
      const readings: EraReading[] = [];
      for (const plan of plans) {
        readings.push(await readWorld(plan, request, places, options, output, context.signal));
      }
      await show(readings as [EraReading, EraReading], options, output);
    });
}

async function show(
  readings: readonly [EraReading, EraReading],
  options: DiffOptions,
  output: Output,
): Promise<void> {
  const comparison = compareEras(...readings);
  const { all, exitCode, html } = options;
  if (html !== undefined) await writeDiffPage(html, comparison);
  output.result(comparison, () => renderEraDiff(comparison, { width: output.width, all }));
  const isFailed = comparison.facts.some(({ paths }) =>
    paths.some(({ request }) => request.outcome !== 'ok'),
  );
  const isDifferent = comparison.places.some(({ sections }) =>
    sections.some(({ rows }) => rows.some(({ kind }) => kind !== 'same')),
  );
  process.exitCode = isFailed || (exitCode === true && isDifferent) ? EXIT.failed : EXIT.held;
}

interface Request {
  readonly from: string;
  readonly to: string;
}

function requestOf(plan: Plan, { from, to }: DiffOptions): Request {
  const first = plan.scenarios.find(({ before }) => before.length === 0)?.request;
  const request = { from: from ?? first?.from, to: to ?? first?.to };
  if (request.from === undefined || request.to === undefined) {
    throw new CommandError(
      'LAB_BAD_CHOICE',
      `Cannot choose a request: ${plan.topologyFile} has no scenario, --from and --to are wanted`,
    );
  }
  return { from: request.from, to: request.to };
}

/** The client's pod, its node and that node's ztunnel. */
function placesOf(
  plan: Plan,
  { from }: Request,
  places: readonly string[] | undefined,
): readonly string[] {
  const named = places ?? defaultPlaces(plan, from);
  for (const place of named) findParty(plan, place);
  return named;
}

function defaultPlaces(plan: Plan, from: string): readonly string[] {
  const party = findParty(plan, from);
  if (party.kind === 'pod') return [from, party.pod.node, `ztunnel/${party.pod.node}`];
  const node = party.kind === 'node' ? party.node.name : (plan.nodes[0]?.name ?? from);
  return [...new Set([from, node, `ztunnel/${node}`])];
}

async function readWorld(
  plan: Plan,
  { from, to }: Request,
  places: readonly string[],
  options: DiffOptions,
  output: Output,
  signal: AbortSignal,
): Promise<EraReading> {
  output.note(`era ${plan.era}`);
  await using lab = await followBuild(output, (onProgress) =>
    createLab(plan, { onProgress, signal }),
  );
  const scenario = oneRequest(`${from} → ${to}`, from, to);
  const where = { results: options.results, verb: 'diff' as const };
  const observation = await observeOne(lab, scenario, where, signal);
  return await readEra(lab, places, observation);
}
