/**
 * `npm run bench:path`: the data path against a pair of haproxy and a bare link, interleaved in one
 * run, in namespaces of its own. Exit code 0 when every bar holds, 1 when one does not, 3 when this
 * machine cannot run it.
 */
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { Command } from 'commander';
import { runBench } from '../lab/bench/path/run.ts';
import { judge, type BarResult } from '../lab/bench/path/verdict.ts';

const BUNDLED = fileURLToPath(new URL('../build/programs/ztunnel.mjs', import.meta.url));

const program = new Command('bench:path')
  .description('Measure the data path against a haproxy pair and a direct link')
  .option('--rounds <n>', 'rounds; each measures every load on every variant', '5')
  .option('--seconds <n>', 'length of each measured window', '3')
  .option('--program <file>', 'bundled ztunnel program', BUNDLED)
  .option('--json', 'print the result as JSON on stdout')
  .addHelpText('after', '\nExample: npm run bench:path -- --rounds 3 --seconds 2')
  .parse();

const options = program.opts<{ rounds: string; seconds: string; program: string; json?: true }>();

if (process.getuid?.() !== 0) cannotRun('it makes network namespaces, which needs root');
if (!existsSync(options.program)) cannotRun(`no file ${options.program}, run npm run build first`);

const result = await runBench({
  program: options.program,
  rounds: Number(options.rounds),
  seconds: Number(options.seconds),
  onProgress: (text) => process.stderr.write(`${text}\n`),
});
const bars = judge(result);
if (options.json) process.stdout.write(`${JSON.stringify({ bars, ...result }, undefined, 1)}\n`);
else process.stdout.write(render(bars));
process.exitCode = bars.every((bar) => bar.holds) ? 0 : 1;

function render(bars: readonly BarResult[]): string {
  const table = new Table({
    head: ['', 'unit', 'direct', 'haproxy', 'ours', 'ours/haproxy', '95 %', 'bar', ''],
    style: { head: [], border: [] },
  });
  for (const bar of bars) {
    const { ratio } = bar;
    table.push([
      bar.name,
      bar.unit,
      number(bar.direct),
      number(bar.haproxy),
      number(bar.ours),
      ratio ? ratio.median.toFixed(2) : '',
      ratio ? `${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)}` : '',
      bar.bar,
      bar.bar === '' ? '' : bar.holds ? 'holds' : 'FAILS',
    ]);
  }
  const rounds = `${options.rounds} rounds of ${options.seconds} s`;
  return `${table.toString()}\n${rounds}, Node ${process.version}, ${cpus().length} CPUs, ${cpus()[0]?.model}\n`;
}

function number(value: number | undefined): string {
  if (value === undefined) return '';
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function cannotRun(why: string): never {
  process.stderr.write(`Cannot measure the data path: ${why}\n`);
  process.exit(3);
}
