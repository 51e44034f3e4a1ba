/**
 * `npm run bench:geneve`: the Geneve fall-back against the kernel's plain vxlan device, interleaved
 * in one run, in namespaces of its own. Exit code 0 when every bar holds, 1 when one does not, 3 when
 * this machine cannot run it.
 */
import Table from 'cli-table3';
import { Command } from 'commander';
import { probeTunnels } from '../dataplane/tunnels/probe.ts';
import { FALL_BACKS } from '../lab/bench/tunnels/world.ts';
import { runTunnelBench, type TunnelBar } from '../lab/bench/tunnels/run.ts';
import { BenchCommand, figureText, machineText } from './bench-command.ts';

const bench = new BenchCommand('the Geneve fall-back');

const program = new Command('bench:geneve')
  .description("Measure the Geneve fall-backs against the kernel's vxlan device")
  .option('--rounds <n>', 'rounds; each measures every load by every way', '9')
  .option('--seconds <n>', 'length of each measured window, to 10', '2')
  .option('--json', 'print the result as JSON on stdout')
  .addHelpText('after', '\nExample: npm run bench:geneve -- --rounds 5 --seconds 1')
  .parse();

const options = program.opts<{ rounds: string; seconds: string; json?: true }>();
const rounds = bench.count('rounds', options.rounds, 1, 1000);
const seconds = bench.count('seconds', options.seconds, 1, 10);

bench.requireRoot();
const probes = await probeTunnels(FALL_BACKS);
const fallBacks = FALL_BACKS.filter((way) => probes.some((one) => one.kind === way && one.works));
if (fallBacks.length === 0) {
  const seen = probes.map(({ kind, evidence }) => `${kind}: ${evidence}`).join('; ');
  bench.end(3, `this machine has no fall-back: ${seen}`);
}

const bars = await runTunnelBench({
  fallBacks,
  rounds,
  seconds,
  onProgress: (text) => process.stderr.write(`${text}\n`),
});
if (options.json)
  process.stdout.write(`${JSON.stringify({ rounds, seconds, bars }, undefined, 1)}\n`);
else process.stdout.write(render(bars));
process.exitCode = bars.every((bar) => bar.holds || !bar.isUsed) ? 0 : 1;

function render(bars: readonly TunnelBar[]): string {
  const table = new Table({
    head: ['', 'way', 'unit', 'bare', 'vxlan', 'fall-back', 'ratio', '95 %', 'bar', ''],
    style: { head: [], border: [] },
  });
  for (const { name, way, isUsed, unit, bare, vxlan, fallBack, ratio, bar, holds } of bars) {
    const interval = `${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)}`;
    const numbers = [bare, vxlan, fallBack].map(figureText);
    const verdict = holds ? 'holds' : isUsed ? 'FAILS' : 'no (not in use)';
    table.push([name, way, unit, ...numbers, ratio.median.toFixed(3), interval, bar, verdict]);
  }
  return `${table.toString()}\n${rounds} rounds of ${seconds} s, ${machineText()}\n`;
}
