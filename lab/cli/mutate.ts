import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { nearest } from '../../topologies/nearest.ts';
import { ERA_NAMES } from '../../topologies/era.ts';
import { openJournal } from '../mutate/journal.ts';
import { listMutations, MUTABLE_ERAS } from '../mutate/list-mutations.ts';
import type { Mutation } from '../mutate/mutation.ts';
import { probesOf } from '../mutate/probes.ts';
import { type MutationResult, readBaseline, runMutations } from '../mutate/run-mutations.ts';
import type { Plan } from '../plan/plan.ts';
import { renderMutations } from '../report/mutations.ts';
import { requireResults } from '../run/results.ts';
import { createLab } from '../world/client.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Output } from './output.ts';
import { followBuild } from './progress.ts';
import { defaultResultsRoot, planFromFile, requireCapabilities } from './world.ts';

interface MutateOptions {
  readonly lab?: string;
  readonly only?: string;
  readonly quick?: boolean;
  readonly list?: boolean;
  readonly fresh?: boolean;
  readonly results: string;
  readonly json?: boolean;
}

/** `mutate`: what each rule protects, found by taking it away. */
export function addMutate(program: Command, context: CommandContext): void {
  program
    .command('mutate')
    .summary('take away each rule in turn and see what breaks')
    .description(
      'Builds a lab of its own, removes or alters each rule, policy rule, route, set and kernel\n' +
        'setting of the era in every place where it stands, makes requests of every kind, and puts\n' +
        'it back. Prints what each protects. Goes on where an interrupted run of the same kind ended.\n' +
        'Exit code 1 when --only names one mutation and it breaks nothing.',
    )
    .argument('[era]', MUTABLE_ERAS.join(' or '), 'inpod-redirect')
    .option('--only <text>', 'only mutations whose id has this text')
    .option('--quick', 'only remove; leave no condition out, turn no setting round')
    .option('--list', 'print the mutations, try none')
    .option('--fresh', 'begin anew, whatever an interrupted run has left')
    .option('--lab <name>', 'name of the lab', 'mutate')
    .option('--results <directory>', 'where the results go', defaultResultsRoot())
    .option('--json', 'one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- mutate inpod-redirect --only "ip rule"\n' +
        '  npm run lab -- mutate inpod-tproxy --quick',
    )
    .action(async (era: string, options: MutateOptions) => {
      requireRoot('mutate');
      requireEra(era);
      const output = context.output(options.json === true);
      const plan = planFromFile(mutationTopology(), { era, lab: options.lab });
      await requireCapabilities(plan);
      await requireResults(options.results);
      await mutate(plan, options, output, context.signal);
    });
}

function requireEra(era: string): void {
  if ((MUTABLE_ERAS as readonly string[]).includes(era)) return;
  if ((ERA_NAMES as readonly string[]).includes(era)) {
    throw new CommandError(
      'LAB_CANNOT_RUN',
      `Cannot mutate era "${era}": rules are taken away in ${MUTABLE_ERAS.join(' and ')} only so far`,
    );
  }
  const guess = nearest(era, ERA_NAMES);
  const hint = guess === undefined ? '' : `, did you mean "${guess}"?`;
  const known = MUTABLE_ERAS.join(', ');
  throw new CommandError('LAB_BAD_ERA', `Cannot mutate era "${era}": one of ${known}${hint}`);
}

function mutationTopology(): string {
  const root = process.env['AMBIENT_LAB_ROOT'] ?? process.cwd();
  const own = join(root, 'topologies', 'mutation.yaml');
  return existsSync(own) ? own : resolve('topologies', 'mutation.yaml');
}

async function mutate(
  plan: Plan,
  options: MutateOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  await using lab = await followBuild(output, (onProgress) =>
    createLab(plan, { onProgress, signal }),
  );
  const { mutations: all, states } = await listMutations(lab);
  const mutations = choose(all, options);
  if (options.list === true) {
    const listed = mutations.map(({ id, kind, where, text, change, why, places }) => {
      return { id, kind, where, text, change, why, places };
    });
    output.result(listed, () => listed.map(({ id }) => id).join('\n'));
    return;
  }
  const key = JSON.stringify([plan.era, all.map(({ id }) => id)]);
  const base = join(options.results, `mutate-${plan.era}`);
  const journal = await openJournal(`${base}.journal`, key, options.fresh === true);
  const known = new Map(journal.done.map((result) => [result.id, result]));
  const left = mutations.filter(({ id }) => !known.has(id));
  if (known.size > 0) {
    output.note(`Going on: ${mutations.length - left.length} of ${mutations.length} are known`);
  }
  const probes = probesOf(plan);
  const baseline = await readBaseline(lab, probes);
  const found = await runMutations(lab, left, baseline, {
    ...{ probes, states, signal },
    onResult: async (result, index) => {
      await journal.add(result);
      output.note(progressLine(result, index + 1, left.length));
    },
  });
  for (const result of found) known.set(result.id, result);
  const results = mutations.flatMap(({ id }) => known.get(id) ?? []);
  await journal.finish(results, `${base}.json`);
  output.result({ era: plan.era, baseline, results }, () =>
    renderMutations(plan.era, results, { width: output.width }),
  );
  const isIdle = results.length === 1 && results[0]?.breaks.length === 0;
  process.exitCode = options.only !== undefined && isIdle ? EXIT.failed : EXIT.held;
}

function choose(all: readonly Mutation[], options: MutateOptions): readonly Mutation[] {
  const { only, quick } = options;
  const chosen = all
    .filter(({ id }) => only === undefined || id.includes(only))
    .filter(({ kind, change }) => quick !== true || (change === 'removed' && kind !== 'sysctl'));
  if (chosen.length > 0) return chosen;
  throw new CommandError(
    'LAB_BAD_CHOICE',
    `Cannot mutate "${only ?? ''}": no mutation has this text, see all with --list`,
  );
}

function progressLine({ id, breaks }: MutationResult, number: number, count: number): string {
  const names = breaks.map(({ probe }) => probe).join(', ');
  return `${number}/${count}  ${id}: ${names === '' ? 'nothing seen' : `breaks ${names}`}`;
}
