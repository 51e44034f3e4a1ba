import { existsSync, realpathSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { GROWING_SIZES, growthOf } from '../bench/growth/growth.ts';
import type { BenchRun, Lacking } from '../bench/mesh/bench-run.ts';
import { compareModes } from '../bench/mesh/compare-modes.ts';
import { fortioFiles } from '../bench/mesh/fortio-result.ts';
import { MODE_NAMES, type ModeName, titleOf } from '../bench/mesh/modes.ts';
import { type Preset, PRESETS, secondsOf, windowFor } from '../bench/mesh/presets.ts';
import { runBench } from '../bench/mesh/run-bench.ts';
import { summarise } from '../bench/mesh/summarise.ts';
import { benchCsv } from '../bench/mesh/write-csv.ts';
import { missingFor } from '../hosts/capabilities.ts';
import { envoyCapability, findEnvoy } from '../hosts/envoy.ts';
import { type BenchReport, renderBench } from '../report/bench.ts';
import { writeBenchPage } from '../report/html/bench-page.ts';
import { inRunDirectory, requireResults } from '../run/results.ts';
import { namedOf, wholeNumber } from './choices.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import { type Output, shortPath } from './output.ts';
import { resultsOption } from './world.ts';

interface BenchOptions {
  readonly preset: string;
  readonly modes?: readonly string[];
  readonly ztunnel?: string;
  readonly rounds?: number;
  readonly window?: number;
  readonly seed?: number;
  readonly budget: boolean;
  readonly lab: string;
  readonly results: string;
  readonly json?: boolean;
}

/** `bench`: latency and cost of each mode, measured in labs of its own. */
export function addBench(program: Command, context: CommandContext): void {
  program
    .command('bench')
    .summary('latency and cost of no mesh, ambient in each era, and sidecars')
    .description(
      'Builds a lab of two nodes for each mode, all alive together, and gives all of them the same\n' +
        'loads in rounds of random order: 1 kB over HTTP/1.1 at a steady pace (open loop, latency from\n' +
        'the moment each request was due), saturation, new connections, throughput. Prints latency,\n' +
        'CPU and memory of the proxies, each with its 95 % interval and what it has more than no mesh;\n' +
        'then records some hundred requests on every interface and tells where their time went.\n' +
        'Writes a page with charts, CSV, JSON, and files that `fortio report` opens.\n' +
        'Exit code 1 when requests failed, 3 when a mode that was asked for cannot be had here.',
    )
    .addOption(new Option('--preset <name>', presetsText()).default('quick'))
    .option('--modes <mode...>', `of ${MODE_NAMES.join(', ')}; those of the preset unless given`)
    .option(
      '--ztunnel <program>',
      'a ztunnel to measure too, in dedicated mode (FAKE_CA: a test build)',
    )
    .option('--rounds <number>', 'rounds instead of the preset’s', numberOf('rounds', 2, 1_000))
    .option('--window <ms>', 'length of each measured window', numberOf('window', 50, 600_000))
    .option(
      '--seed <number>',
      'of the random order; another each time unless given',
      numberOf('seed', 0, 2 ** 31),
    )
    .option('--no-budget', 'leave the latency budget out')
    .option('--lab <name>', 'beginning of the names of its labs', 'bench')
    .addOption(resultsOption('where the results go'))
    .option('--json', 'the result as one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- bench\n  npm run bench -- --preset istio-1.24 --modes none inpod-redirect sidecar\n' +
        '  npm run bench -- --preset full --ztunnel ./ztunnel --seed 7',
    )
    .action(async (options: BenchOptions) => {
      requireRoot('bench');
      await bench(options, context);
    });
}

async function bench(options: BenchOptions, context: CommandContext): Promise<void> {
  const output = context.output(options.json === true);
  const names = PRESETS.map(({ name }) => name);
  const name = namedOf(names, options.preset, 'run preset');
  const preset = PRESETS.find((each) => each.name === name)!;
  const { modes, lacking } = await chooseModes(preset, options);
  const rounds = options.rounds ?? preset.rounds;
  const windowMs = options.window ?? windowFor(preset, modes.length, rounds);
  const seed = options.seed ?? randomInt(2 ** 31);
  await requireResults(options.results);
  const seconds = secondsOf(preset, modes.length, rounds, windowMs);
  output.note(
    `bench ${preset.name}: ${modes.length} modes, ${rounds} rounds, seed ${seed}; about ${durationText(seconds)} of load`,
  );
  for (const { mode, why } of lacking) output.note(`Not measured: ${titleOf(mode)}. ${why}`);
  const { directory, report } = await inRunDirectory(
    options.results,
    `bench-${preset.name}`,
    new Date(),
    async (directory) => {
      const run = await runBench({
        ...{ preset, modes, lacking, rounds, windowMs, seed },
        programs: await programsOf(modes, options.ztunnel),
        labPrefix: options.lab,
        ...(options.ztunnel !== undefined && { ztunnel: [realpathSync(options.ztunnel)] }),
        ...(options.budget && { budgetDirectory: join(directory, 'budget') }),
        onProgress: (text) => output.note(text),
        signal: context.signal,
      });
      const growth = growthOf(GROWING_SIZES);
      const report = { run, cells: summarise(run), comparisons: compareModes(run), growth };
      await writeFiles(directory, report);
      return { directory, report };
    },
  );
  showResult(output, directory, report);
  const hasFailed = report.cells.some(({ modes: rows }) =>
    rows.some(({ failures }) => failures > 0),
  );
  process.exitCode = hasFailed ? EXIT.failed : lacking.length > 0 ? EXIT.cannotRun : EXIT.held;
}

async function writeFiles(directory: string, report: BenchReport): Promise<void> {
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(directory, name), text);
  const { run } = report;
  await write('bench.json', JSON.stringify({ ...run, ...resultsOf(report) }, null, 1));
  await write('bench.csv', benchCsv(run));
  await writeBenchPage(join(directory, 'index.html'), report);
  await mkdir(join(directory, 'fortio'));
  for (const { name, content } of fortioFiles(run)) {
    await write(join('fortio', name), JSON.stringify(content, null, 1));
  }
}

/** What was made of the measurements, as JSON has it beside them. */
function resultsOf({ cells, comparisons, growth }: BenchReport): object {
  return { summary: cells, comparisons, ...(growth && { configuration: growth }) };
}

function showResult(output: Output, directory: string, report: BenchReport): void {
  const { color, width } = output;
  const { cells: _, ...run } = report.run;
  const summary = { ...run, ...resultsOf(report) };
  output.result(summary, () => renderBench(report, { color, width }));
  output.note(
    `\nPage: ${shortPath(join(directory, 'index.html'))}\n` +
      `fortio: fortio report -data-dir ${shortPath(join(directory, 'fortio'))}`,
  );
}

function numberOf(option: string, least: number, most: number): (text: string) => number {
  return wholeNumber(least, most, (text) => `Cannot use --${option} "${text}"`);
}

function presetsText(): string {
  return PRESETS.map(({ name, title }) => `${name} (${title})`).join('; ');
}

interface Chosen {
  readonly modes: readonly ModeName[];
  readonly lacking: readonly Lacking[];
}

/** The modes that are wished, in their order, less those that this machine lacks something for. */
async function chooseModes(preset: Preset, options: BenchOptions): Promise<Chosen> {
  const wished = new Set(options.modes?.map(modeNamed) ?? preset.modes);
  if (options.ztunnel !== undefined) wished.add('ztunnel');
  requireZtunnel(wished, options.ztunnel);
  const found = await Promise.all([...wished].map(lackOf));
  const lacking = found.filter((each) => each !== undefined);
  const modes = MODE_NAMES.filter(
    (mode) => wished.has(mode) && !lacking.some((each) => each.mode === mode),
  );
  if (modes.length > 0) return { modes, lacking };
  const reasons = lacking.map(({ mode, why }) => `${titleOf(mode)}: ${why}`).join('\n');
  throw new CommandError('LAB_CANNOT_RUN', `Cannot measure any mode here:\n${reasons}`);
}

function modeNamed(word: string): ModeName {
  return namedOf(MODE_NAMES, word, 'measure mode');
}

async function lackOf(mode: ModeName): Promise<Lacking | undefined> {
  const [missing] = await missingFor(mode === 'sidecar' ? 'sidecars' : mode);
  if (missing === undefined) return undefined;
  const { name, evidence, howToGet } = missing;
  return { mode, why: `${name}: ${evidence}. Wanted: ${howToGet}` };
}

function requireZtunnel(wished: ReadonlySet<ModeName>, program: string | undefined): void {
  if (!wished.has('ztunnel')) return;
  if (program === undefined) {
    throw new CommandError(
      'LAB_BAD_CHOICE',
      'Cannot measure mode "ztunnel": name its program with --ztunnel',
    );
  }
  if (!existsSync(program)) {
    throw new CommandError('LAB_FILE_MISSING', `Cannot measure ztunnel "${program}": no such file`);
  }
}

async function programsOf(
  modes: readonly ModeName[],
  ztunnel: string | undefined,
): Promise<BenchRun['programs']> {
  const envoy = modes.includes('sidecar') && findEnvoy() ? await envoyCapability() : undefined;
  return [
    ...(envoy ? [{ name: 'Envoy', version: envoy.evidence.split(',')[0] ?? '' }] : []),
    ...(ztunnel === undefined ? [] : [{ name: 'ztunnel', version: ztunnel }]),
  ];
}

function durationText(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
