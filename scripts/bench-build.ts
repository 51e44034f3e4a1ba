/**
 * `npm run bench:build`: building, enrolling and removing pods against as many hosts of Mininet on
 * one Linux bridge, interleaved in one run, Mininet in namespaces of its own. Exit code 0 when every
 * bar of the default era holds, 1 when one does not, 2 for bad options, 3 when it cannot run here.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { Command } from 'commander';
import { DEFAULT_ERA, ERAS, type Era } from '../dataplane/redirect/era.ts';
import { measureOurs } from '../lab/bench/build/ours.ts';
import { runBuildBench, type BuildBar } from '../lab/bench/build/run.ts';
import { BenchCommand, machineText } from './bench-command.ts';

const BUNDLES = fileURLToPath(new URL('../build/programs', import.meta.url));
const bench = new BenchCommand('building');

const program = new Command('bench:build')
  .description('Measure building, enrolling and removing pods against hosts of Mininet')
  .option(
    '--rounds <n>',
    'rounds; each builds every size once by Mininet and once in each era',
    '5',
  )
  .option('--sizes <n,…>', 'numbers of pods', '100,500')
  .option('--eras <era,…>', 'eras to build, the default one first', DEFAULT_ERA)
  .option('--last <n>', 'pods to build once at the end, by us alone; 0 for none', '1000')
  .option('--json', 'print the result as JSON on stdout')
  .addHelpText('after', '\nExample: npm run bench:build -- --rounds 3 --sizes 100 --last 0')
  .parse();

const options = program.opts<{
  rounds: string;
  sizes: string;
  eras: string;
  last: string;
  json?: true;
}>();
const rounds = bench.count('rounds', options.rounds, 1, 1000);
const sizes = options.sizes.split(',').map((text) => bench.count('sizes', text, 1, 1000));
const eras = options.eras.split(',').map(eraOf);
const last = bench.count('last', options.last, 0, 2000);

bench.requireRoot();
if (!existsSync(BUNDLES)) bench.end(3, `no folder ${BUNDLES}, run npm run build first`);
process.env['AMBIENT_LAB_PROGRAMS'] ??= BUNDLES;

const onProgress = (text: string): void => void process.stderr.write(`${text}\n`);
const bars = await runBuildBench({ rounds, sizes, eras, onProgress });
const most = last > 0 ? await measureOurs(`bench-build-${process.pid}`, last, eras[0]!) : undefined;
if (options.json)
  process.stdout.write(`${JSON.stringify({ rounds, bars, last, most }, undefined, 1)}\n`);
else process.stdout.write(render(bars));
process.exitCode = bars.every(({ era, holds }) => era !== DEFAULT_ERA || holds) ? 0 : 1;

function render(lines: readonly BuildBar[]): string {
  const table = new Table({
    head: ['', 'era', 'Mininet ms', 'ours ms', 'times faster', '95 %', 'bar', ''],
    style: { head: [], border: [] },
  });
  for (const { name, era, mininetMs, oursMs, ratio, bar, holds } of lines) {
    const interval = `${ratio.low.toFixed(1)}–${ratio.high.toFixed(1)}`;
    const [theirs, own] = [mininetMs, oursMs].map((ms) => ms.toFixed(0));
    const isJudged = era === DEFAULT_ERA;
    const verdict = isJudged ? (holds ? 'holds' : 'FAILS') : '';
    table.push([
      name,
      era,
      theirs,
      own,
      ratio.median.toFixed(1),
      interval,
      isJudged ? `≥ ${bar}` : '',
      verdict,
    ]);
  }
  const alone = most
    ? `${last} pods: built in ${most.buildMs.toFixed(0)} ms, removed in ${most.removeMs.toFixed(0)} ms\n`
    : '';
  return `${table.toString()}\n${alone}${rounds} rounds, ${machineText()}\n`;
}

function eraOf(name: string): Era {
  const era = ERAS.find((one) => one === name);
  return era ?? bench.end(2, `--eras has "${name}", some of ${ERAS.join(', ')} are wished`);
}
