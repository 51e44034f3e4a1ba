/**
 * `npm run bench:path`: the data path against pairs of haproxy, Envoy sidecars and a bare link,
 * interleaved in one run, in namespaces of its own. Exit code 0 when every bar holds, 1 when one does
 * not, 2 for bad options, 3 when this machine cannot run it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { Command } from 'commander';
import { runBench } from '../lab/bench/path/run.ts';
import type { Yardstick } from '../lab/bench/path/bars.ts';
import { judge, type FigureResult } from '../lab/bench/path/verdict.ts';
import { findEnvoy } from '../lab/hosts/envoy.ts';
import { programNode } from '../lab/hosts/program-node.ts';
import { BenchCommand, figureText, machineText } from './bench-command.ts';

const BUNDLED = fileURLToPath(new URL('../build/programs/ztunnel.mjs', import.meta.url));

const bench = new BenchCommand('the data path');
const NOTES = `haproxy: called without any rules. With rules: behind istio-init's REDIRECT, as Envoy is; ours is behind
ambient's own. Envoy's port is read as HTTP; Istio's own filters are missing, so a sidecar costs more.
Ours takes cubic where the machine's congestion control is bbr, the others keep it: --congestion gives all the same.
`;

const program = new Command('bench:path')
  .description('Measure the data path against pairs of haproxy, Envoy sidecars and a direct link')
  .option('--rounds <n>', 'rounds; each measures every load on every variant', '5')
  .option('--seconds <n>', 'length of each measured window', '3')
  .option('--program <file>', 'bundled ztunnel program', BUNDLED)
  .option(
    '--congestion <name>',
    "congestion control of all pods; else the machine's, where ours takes cubic for bbr",
  )
  .option('--json', 'print the result as JSON on stdout')
  .addHelpText('after', '\nExample: npm run bench:path -- --rounds 3 --seconds 2')
  .parse();

const options = program.opts<{
  rounds: string;
  seconds: string;
  program: string;
  congestion?: string;
  json?: true;
}>();

const rounds = bench.count('rounds', options.rounds, 1, 1000);
const seconds = bench.count('seconds', options.seconds, 1, 3600);
bench.requireRoot();
// What is not allowed to everybody no namespace may have as its default.
const allowed = readTcpSetting('allowed_congestion_control').split(' ');
if (options.congestion !== undefined && !allowed.includes(options.congestion)) {
  const wished = `--congestion has "${options.congestion}"`;
  bench.end(2, `${wished}, one of ${allowed.join(', ')} is wished`);
}
if (!existsSync(options.program)) {
  bench.end(3, `no file ${options.program}, run npm run build first`);
}

const result = await runBench({
  program: options.program,
  envoy: findEnvoy(),
  congestion: options.congestion,
  rounds,
  seconds,
  onProgress: (text) => process.stderr.write(`${text}\n`),
});
const figures = judge(result);
if (options.json) process.stdout.write(`${JSON.stringify({ figures, ...result }, undefined, 1)}\n`);
else process.stdout.write(render(figures));
process.exitCode = figures.every((figure) => figure.holds) ? 0 : 1;

function render(figures: readonly FigureResult[]): string {
  const table = new Table({
    head: [
      ...['', 'unit', 'direct', 'haproxy', 'haproxy\nwith rules', 'Envoy\nhttp', 'ours'],
      ...['ours /\nhaproxy', 'ours / ha-\nproxy, rules', 'ours /\nEnvoy', ''],
    ],
    style: { head: [], border: [] },
  });
  for (const figure of figures) {
    const { medians } = figure;
    table.push([
      figure.name,
      figure.unit,
      ...(['direct', 'haproxy', 'haproxyRules', 'envoy', 'ours'] as const).map((name) =>
        figureText(medians[name]),
      ),
      ...(['haproxy', 'haproxyRules', 'envoy'] as const).map((name) => ratioCell(figure, name)),
      verdictOf(figure),
    ]);
  }
  const made = `${rounds} rounds of ${seconds} s, medians; under each ratio its 95 % interval, then its bar`;
  return `${table.toString()}\n${made}.\n${NOTES}Node ${nodeVersion()}, ${options.congestion ?? readTcpSetting('congestion_control')}, ${machineText()}\n`;
}

function ratioCell({ ratios }: FigureResult, name: Yardstick): string {
  const ratio = ratios[name];
  if (ratio === undefined) return '';
  const interval = `${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)}`;
  return [ratio.median.toFixed(2), interval, ratio.bar].filter(Boolean).join('\n');
}

function verdictOf({ bar, ratios, failures, holds }: FigureResult): string {
  const hasBar = bar !== undefined || Object.values(ratios).some((ratio) => ratio.bar !== '');
  if (failures > 0) return `FAILS: ${failures} failed`;
  return [bar, hasBar ? (holds ? 'holds' : 'FAILS') : ''].filter(Boolean).join('\n');
}

function readTcpSetting(name: string): string {
  return readFileSync(`/proc/sys/net/ipv4/tcp_${name}`, 'utf8').trim();
}

function nodeVersion(): string {
  return execFileSync(programNode(), ['--version'], { encoding: 'utf8' }).trim().slice(1);
}
