import { readdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { Option, type Command } from 'commander';
import { ERAS } from '../../dataplane/redirect/era.ts';
import { loadTopology } from '../../topologies/load.ts';
import { didYouMean } from '../../topologies/nearest.ts';
import type { Topology } from '../../topologies/topology.ts';
import { type Cell, cellsOf, findStray, removeStray } from '../regress/cells.ts';
import {
  type CellResult,
  exitCodeOfRegress,
  REGRESS_SCHEMA,
  type RegressResult,
} from '../regress/results.ts';
import { runCell } from '../regress/run-cell.ts';
import { runGrid } from '../regress/run-grid.ts';
import { renderRegress } from '../report/regress.ts';
import { renderRegressJunit } from '../report/regress-junit.ts';
import { inRunDirectory, requireResults } from '../run/results.ts';
import { eraNamed, jobsOption } from './choices.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError } from './exit.ts';
import { type Output, shortPath } from './output.ts';
import { regressCapture } from './regress-capture.ts';
import { defaultResultsRoot, requireCapabilities, resultsOption, topologiesRoot } from './world.ts';

export interface RegressOptions {
  readonly era?: readonly string[];
  readonly scenario?: string;
  readonly update?: boolean;
  readonly baselines: string;
  readonly results: string;
  readonly jobs: number;
  readonly pcap?: string;
  readonly baseline?: string;
  readonly keys?: string;
  readonly junit?: string;
  readonly json?: boolean;
}

/** `regress`: facts of every scenario in every era against what they were. */
export function addRegress(program: Command, context: CommandContext): void {
  program
    .command('regress')
    .summary('hold the facts of all scenarios in all eras against baselines')
    .description(
      'Builds each topology in each era once, makes its requests, and compares what the packets say\n' +
        '(legs, tunnels, identities, ports, marks, hops …) with the baseline in a text file. Times,\n' +
        'ephemeral ports and counts of frames are not compared. Exit code 1 when anything differs, is\n' +
        'new or has vanished, 3 when something could not run and nothing differs.',
    )
    .argument(
      '[topologies...]',
      'topology files; all in topologies/ unless given, without its folders',
    )
    .option('--era <era...>', `eras to build: ${ERAS.join(', ')}; all unless given`)
    .option('--scenario <text>', 'compare only scenarios whose name has this text')
    .option('--update', 'write the baselines instead of comparing')
    .addOption(
      new Option('--baselines <directory>', 'where they are').default(
        defaultBaselines(),
        'results/baselines, in the project',
      ),
    )
    .addOption(resultsOption('where captures of what differs go'))
    .addOption(jobsOption(99, availableParallelism() + 1))
    .option(
      '--pcap <file>',
      'compare a capture (pcapng or pcap) instead of building labs; needs no root',
    )
    .option('--baseline <file>', 'the baseline of that capture')
    .option('--keys <file>', 'TLS secrets of that capture (NSS key log), where it has none inside')
    .option('--junit <file>', 'also a JUnit file')
    .option('--json', 'the result as one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- regress\n' +
        '  npm run lab -- regress topologies/two-nodes.yaml --era inpod-nft --update\n' +
        '  npm run lab -- regress --pcap node.pcapng --baseline node.txt',
    )
    .action(async (files: readonly string[], options: RegressOptions) => {
      if (options.pcap !== undefined || options.baseline !== undefined) {
        return regressCapture(files, options, context);
      }
      requireRoot('regress');
      await regress(files, options, context);
    });
}

async function regress(
  files: readonly string[],
  options: RegressOptions,
  context: CommandContext,
): Promise<void> {
  const output = context.output(options.json === true);
  const eras = options.era?.map(eraNamed) ?? ERAS;
  const named = files.length > 0 ? files : await allTopologies();
  const topologies = named.map((file) => loadTopology(file));
  requireDistinct(topologies);
  const all = cellsOf({ topologies, eras, baselines: options.baselines });
  const cells = chooseCells(all, options.scenario);
  const isWhole = files.length === 0 && options.era === undefined && options.scenario === undefined;
  await requireResults(options.results);
  process.exitCode = await inRunDirectory(
    options.results,
    'regress',
    new Date(),
    async (directory) => {
      const ran = await runGrid(cells, {
        jobs: options.jobs,
        signal: context.signal,
        runCell: (cell, signal) => runCell(cell, cellOptions(cell, directory, options, signal)),
        onCell: (cell) => output.note(progressLine(cell)),
      });
      const stray = isWhole ? await findStray(options.baselines, cells) : [];
      const isUpdate = options.update === true;
      if (isUpdate) await removeStray(stray);
      const withoutScenarios = topologies
        .filter(({ scenarios }) => scenarios.length === 0)
        .map(({ file }) => basename(file));
      const schema = REGRESS_SCHEMA;
      const result = { schema, cells: ran, withoutScenarios, stray, isUpdate } as const;
      await tell(result, directory, options, output);
      return exitCodeOfRegress(result);
    },
  );
}

function cellOptions(
  { name, era }: Cell,
  directory: string,
  { scenario, update }: RegressOptions,
  signal: AbortSignal,
) {
  return {
    directory: join(directory, `${name}.${era}`),
    lab: `rg${process.pid}-${name.slice(0, 20)}-${era.replace('inpod-', '')}`,
    isUpdate: update === true,
    ...(scenario !== undefined && { only: scenario }),
    requireCapabilities,
    signal,
  };
}

async function tell(
  result: RegressResult,
  directory: string,
  { junit }: RegressOptions,
  output: Output,
): Promise<void> {
  const xml = renderRegressJunit(result);
  await writeFile(join(directory, 'regress.json'), JSON.stringify(result, null, 2));
  await writeFile(join(directory, 'junit.xml'), xml);
  if (junit !== undefined) await writeFile(junit, xml);
  output.result({ ...result, directory }, () => {
    const { color, width } = output;
    const text = renderRegress(result, { color, width, from: process.cwd() });
    return `${text}\nResults in ${shortPath(directory)}`;
  });
}

function progressLine({ topology, era, state, durationMs }: CellResult): string {
  return `${String(durationMs).padStart(6)} ms  ${topology}, era ${era}: ${state}`;
}

function defaultBaselines(): string {
  return join(defaultResultsRoot(), 'baselines');
}

/** The topologies shipped with the project. */
async function allTopologies(): Promise<readonly string[]> {
  const directory = topologiesRoot();
  const files = await readdir(directory);
  return files
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => relative(process.cwd(), join(directory, name)));
}

/** Two files of one name would have one baseline. */
function requireDistinct(topologies: readonly Topology[]): void {
  const names = topologies.map(({ file }) => basename(file).replace(/\.ya?ml$/, ''));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new CommandError(
    'LAB_BAD_CHOICE',
    `Cannot tell baselines of two topologies "${twice}" apart: give each file a name of its own`,
  );
}

/** @throws CommandError LAB_NO_SCENARIO */
function chooseCells(cells: readonly Cell[], text: string | undefined): readonly Cell[] {
  if (cells.length === 0) {
    throw new CommandError('LAB_NO_SCENARIO', 'Cannot compare: no topology has a scenario');
  }
  if (text === undefined) return cells;
  const namesOf = ({ topology }: Cell) => topology.scenarios.map(({ name }) => name);
  const chosen = cells.filter((cell) => namesOf(cell).some((name) => name.includes(text)));
  if (chosen.length > 0) return chosen;
  throw new CommandError(
    'LAB_NO_SCENARIO',
    `Cannot find a scenario with "${text}" in its name`,
    didYouMean(text, cells.flatMap(namesOf)),
  );
}
