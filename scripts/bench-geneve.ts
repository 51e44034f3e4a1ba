/**
 * `npm run bench:geneve`: the Geneve fall-back against the kernel's plain vxlan device, interleaved
 * in one run, in namespaces of its own. Exit code 0 when every bar holds, 1 when one does not, 3 when
 * this machine cannot run it.
 */
import { cpus } from 'node:os';
import Table from 'cli-table3';
import { Command } from 'commander';
import { probeTunnels } from '../dataplane/tunnels/probe.ts';
import { FALL_BACKS } from '../lab/bench/tunnels/world.ts';
import { runTunnelBench, type TunnelBar } from '../lab/bench/tunnels/run.ts';

const program = new Command('bench:geneve')
  .description("Measure the Geneve fall-backs against the kernel's vxlan device")
  .option('--rounds <n>', 'rounds; each measures every load by every way', '9')
  .option('--seconds <n>', 'length of each measured window, to 10', '2')
  .option('--json', 'print the result as JSON on stdout')
  .addHelpText('after', '\nExample: npm run bench:geneve -- --rounds 5 --seconds 1')
  .parse();

const options = program.opts<{ rounds: string; seconds: string; json?: true }>();
const rounds = countOf('rounds', 1000);
const seconds = countOf('seconds', 10);

if (process.getuid?.() !== 0) end(3, 'it makes network namespaces, which needs root');
const probes = await probeTunnels(FALL_BACKS);
const fallBacks = FALL_BACKS.filter((way) => probes.some((one) => one.kind === way && one.works));
if (fallBacks.length === 0) {
  const seen = probes.map(({ kind, evidence }) => `${kind}: ${evidence}`).join('; ');
  end(3, `this machine has no fall-back: ${seen}`);
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
    const numbers = [bare, vxlan, fallBack].map(number);
    const verdict = holds ? 'holds' : isUsed ? 'FAILS' : 'no (not in use)';
    table.push([name, way, unit, ...numbers, ratio.median.toFixed(3), interval, bar, verdict]);
  }
  return `${table.toString()}\n${rounds} rounds of ${seconds} s, ${cpus().length} CPUs, ${cpus()[0]?.model}\n`;
}

function number(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function countOf(name: 'rounds' | 'seconds', most: number): number {
  const value = Number(options[name]);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  return end(2, `--${name} is "${options[name]}", 1 to ${most} is wished`);
}

function end(code: number, why: string): never {
  process.stderr.write(`Cannot measure the Geneve fall-back: ${why}\n`);
  process.exit(code);
}
