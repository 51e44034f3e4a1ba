import type { BenchRun } from '../../bench/mesh/bench-run.ts';
import { cellTitle, isLatency } from '../../bench/mesh/cell.ts';
import { type Comparison, compareModes, type Metric } from '../../bench/mesh/compare-modes.ts';
import type { Preset } from '../../bench/mesh/presets.ts';
import { runBench } from '../../bench/mesh/run-bench.ts';
import { busyText, METRIC_WORDS, SIDECAR_BOUND, spanText } from '../../report/bench-words.ts';
import type { Finding } from '../claim.ts';
import { couldNotRun, settle } from '../finding.ts';

const PRESET: Preset = {
  name: 'order',
  title: 'no mesh, ambient and sidecars at 1,000 requests/s',
  modes: ['none', 'inpod-redirect', 'sidecar'],
  rounds: 5,
  cells: [1, 16, 64].map((connections) => ({
    kind: 'open-loop',
    placement: 'other-node',
    connections,
    rate: 1_000,
  })),
  windowMs: 600,
  budgetRequests: 0,
};
const SEED = 3;

/** Latency of ambient against sidecars at 1,000 requests/s over 1, 16 and 64 connections. */
export function latencyOrder(): Promise<Finding> {
  return order(['p50', 'p99'], PRESET);
}

/** CPU and memory of the proxies for the same load. */
export function costOrder(): Promise<Finding> {
  return order(['cpu', 'memory'], { ...PRESET, cells: PRESET.cells.slice(1, 2) });
}

/** Makes labs of its own: what the claim compares has to be measured at the same time. */
async function order(metrics: readonly Metric[], preset: Preset): Promise<Finding> {
  const { modes, rounds, windowMs } = preset;
  const run = await runBench({
    ...{ preset, modes, rounds, windowMs, seed: SEED, lacking: [], programs: [] },
    labPrefix: `claim${process.pid}`,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  return orderFinding(run, metrics);
}

/** Holds when ambient has less of the first measure everywhere, and more of none anywhere. */
export function orderFinding(run: BenchRun, metrics: readonly Metric[]): Finding {
  const found = run.cells
    .flatMap((cell) => compareModes(run, cell))
    .filter(({ mode, than }) => mode === 'inpod-redirect' && than === 'sidecar')
    .filter(({ metric }) => metrics.includes(metric));
  const evidence = [
    ...found.map(
      ({ metric, cell, ratio, verdict }) =>
        `${METRIC_WORDS[metric]} at ${cellTitle(cell)}: ${ratio.median.toFixed(2)}× ${spanText(ratio)}, ${verdict}`,
    ),
    SIDECAR_BOUND,
    ...[busyText(run) ?? []].flat(),
  ];
  const text = metrics.map((metric) => rangeOf(metric, found)).join('; ');
  const [first] = metrics;
  const ofFirst = found.filter(({ metric }) => metric === first);
  const isLess = ofFirst.every(({ verdict }) => verdict === 'less');
  const isMore = found.some(({ verdict }) => verdict === 'more');
  const isOfLatency = first === 'p50' || first === 'p99';
  const loads = run.cells.filter(({ cell }) => !isOfLatency || isLatency(cell));
  // A load that could not be compared must not be left out of "everywhere".
  if (ofFirst.length === 0 || ofFirst.length < loads.length) {
    return couldNotRun('a sidecar pair on the bench, with every load');
  }
  if (!isLess && !isMore) return { ...couldNotRun('a quieter machine'), evidence };
  return settle(isLess && !isMore, text, { evidence });
}

function rangeOf(metric: Metric, found: readonly Comparison[]): string {
  const ratios = found.filter((each) => each.metric === metric).map(({ ratio }) => ratio.median);
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((each) => each.toFixed(2));
  return `${METRIC_WORDS[metric]} ${least === most ? least : `${least} to ${most}`} times a sidecar’s`;
}
