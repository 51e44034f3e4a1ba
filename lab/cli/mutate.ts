import { join } from 'node:path';
import type { Command } from 'commander';
import { ERA_NAMES } from '../../topologies/era.ts';
import { openJournal } from '../mutate/journal.ts';
import { listMutations } from '../mutate/list-mutations.ts';
import { mutateInLabs } from '../mutate/mutate-in-labs.ts';
import type { Mutation } from '../mutate/mutation.ts';
import { notesOf } from '../mutate/notes.ts';
import type { MutationResult } from '../mutate/run-mutations.ts';
import { probesOf } from '../mutate/probes.ts';
import { explainByTwins } from '../mutate/twins.ts';
import type { Plan } from '../plan/plan.ts';
import { renderMutations } from '../report/mutations.ts';
import { announceResult, requireResults } from '../run/results.ts';
import { createLab } from '../world/client.ts';
import type { Lab } from '../world/lab.ts';
import { eraNamed, jobsOption } from './choices.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Output } from './output.ts';
import { followBuild } from './progress.ts';
import { planFromFile, requireCapabilities, resultsOption, topologiesRoot } from './world.ts';

/** Fewer mutations are done in another lab no sooner than that lab is built. */
const WORTH_A_LAB = 4;
const MOST_JOBS = 16;

interface MutateOptions {
  readonly lab?: string;
  readonly only?: string;
  readonly quick?: boolean;
  readonly list?: boolean;
  readonly fresh?: boolean;
  readonly jobs: number;
  readonly results: string;
  readonly json?: boolean;
}

/** `mutate`: what each rule protects, found by taking it away. */
export function addMutate(program: Command, context: CommandContext): void {
  program
    .command('mutate')
    .summary('take away each rule in turn and see what breaks')
    .description(
      'Builds labs of its own, removes or alters each rule, policy rule, route, address, tunnel and\n' +
        'kernel setting of the era where it stands (in era geneve node by node), makes requests of\n' +
        'every kind, and puts it back. Prints what each protects. What seems broken is tried again\n' +
        'with more time. Goes on where an interrupted run of the same kind ended.\n' +
        'Exit code 1 when --only names one mutation and it breaks nothing.',
    )
    .argument('[era]', `one of ${ERA_NAMES.join(', ')}`, 'inpod-redirect')
    .option('--only <text>', 'only mutations whose id has this text')
    .option('--quick', 'only remove; leave no condition out, turn no setting round')
    .option('--list', 'print the mutations, try none')
    .option('--fresh', 'begin anew, whatever an interrupted run has left')
    .addOption(jobsOption(MOST_JOBS, 3))
    .option('--lab <name>', 'name of the first lab; the others get a number', 'mutate')
    .addOption(resultsOption('where the results go'))
    .option('--json', 'one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- mutate inpod-redirect --only "ip rule"\n' +
        '  npm run lab -- mutate geneve --quick',
    )
    .action(async (name: string, options: MutateOptions) => {
      requireRoot('mutate');
      const era = eraNamed(name);
      const output = context.output(options.json === true);
      const plan = planOf(era, options, 1);
      await requireCapabilities(plan);
      await requireResults(options.results);
      await mutate(plan, options, output, context.signal);
    });
}

function planOf(era: string, { lab = 'mutate' }: MutateOptions, number: number): Plan {
  const name = number === 1 ? lab : `${lab}-${number}`;
  return planFromFile(join(topologiesRoot(), 'mutation.yaml'), { era, lab: name });
}

async function mutate(
  plan: Plan,
  options: MutateOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  await using first = await followBuild(output, (onProgress) =>
    createLab(plan, { onProgress, signal }),
  );
  const { mutations: all } = await listMutations(first);
  const mutations = choose(all, options);
  if (options.list === true) return showList(mutations, output);
  const key = JSON.stringify([plan.era, all.map(({ id }) => id)]);
  const base = join(options.results, `mutate-${plan.era}`);
  const journal = await openJournal(`${base}.journal`, key, options.fresh === true);
  const known = new Map(journal.done.map((result) => [result.id, result]));
  const left = mutations.filter(({ id }) => !known.has(id)).map(({ id }) => id);
  if (known.size > 0) {
    output.note(`Going on: ${mutations.length - left.length} of ${mutations.length} are known`);
  }
  await using others = await buildOthers(plan.era, options, left.length, signal);
  let done = 0;
  const { baseline, results: found } = await mutateInLabs([first, ...others.labs], left, {
    signal,
    onResult: async (result) => {
      await journal.add(result);
      done += 1;
      output.note(progressLine(result, done, left.length));
    },
  });
  for (const result of found) known.set(result.id, result);
  const results = explainByTwins(mutations.flatMap(({ id }) => known.get(id) ?? []));
  await journal.finish(results, `${base}.json`);
  await announceResult(`${base}.json`);
  const { width } = output;
  const notes = options.only === undefined ? notesOf(plan.era) : [];
  output.result({ era: plan.era, baseline, results, notes }, () =>
    renderMutations(plan.era, results, { width, probes: probesOf(plan), notes }),
  );
  const isIdle = results.length === 1 && results[0]?.breaks.length === 0;
  process.exitCode = options.only !== undefined && isIdle ? EXIT.failed : EXIT.held;
}

interface OtherLabs extends AsyncDisposable {
  readonly labs: readonly Lab[];
}

/** As many more labs as are worth their building. */
async function buildOthers(
  era: string,
  options: MutateOptions,
  mutations: number,
  signal: AbortSignal,
): Promise<OtherLabs> {
  const count = Math.min(options.jobs, Math.ceil(mutations / WORTH_A_LAB)) - 1;
  const numbers = Array.from({ length: Math.max(0, count) }, (_, index) => index + 2);
  const built = await Promise.allSettled(
    numbers.map((number) => createLab(planOf(era, options, number), { signal })),
  );
  const labs = built.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const others: OtherLabs = {
    labs,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(labs.map((lab) => lab[Symbol.asyncDispose]()));
    },
  };
  const failed = built.find((each) => each.status === 'rejected');
  if (failed === undefined) return others;
  await others[Symbol.asyncDispose]();
  throw failed.reason;
}

function showList(mutations: readonly Mutation[], output: Output): void {
  const listed = mutations.map(({ id, kind, where, text, change, why, places }) => {
    return { id, kind, where, text, change, why, places };
  });
  output.result(listed, () => listed.map(({ id }) => id).join('\n'));
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
