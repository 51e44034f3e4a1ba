import { momentsOf, percentileUs, unpackHistogram } from '../histogram.ts';
import type { BenchRun, Sample } from './bench-run.ts';
import { type Cell, cellId } from './cell.ts';
import type { ModeName } from './modes.ts';

const COLUMNS = [
  ...['mode', 'load', 'kind', 'placement', 'connections', 'requested_qps', 'round'],
  ...['done', 'seconds', 'per_second', 'failures'],
  ...['min_us', 'mean_us', 'p50_us', 'p90_us', 'p99_us', 'p999_us', 'max_us'],
  ...['sent_p50_us', 'sent_p99_us', 'lateness_p50_us', 'lateness_p99_us'],
  ...['generator_cpu_s', 'app_cpu_s', 'client_proxy_cpu_s', 'server_proxy_cpu_s'],
  ...['client_proxy_peak_bytes', 'server_proxy_peak_bytes'],
] as const;

/** Every window of a run as a line (RFC 4180); empty where a load has no such value. */
export function benchCsv({ cells }: BenchRun): string {
  const lines = cells.flatMap(({ cell, samples }) =>
    Object.entries(samples).flatMap(([mode, list]) =>
      list.map((sample) => lineOf(mode as ModeName, cell, sample)),
    ),
  );
  return [COLUMNS, ...lines].map((line) => `${line.join(',')}\r\n`).join('');
}

function lineOf(mode: ModeName, cell: Cell, sample: Sample): readonly (string | number)[] {
  const { round, done, seconds, failures, clientCpuSeconds, appCpuSeconds, proxies } = sample;
  const { kind, placement, connections, rate = '' } = cell;
  // A proxy of both sides stands for the client's: there is none on the other.
  const [client, server] = [proxies[0], proxies[1]];
  return [
    ...[mode, cellId(cell), kind, placement, connections, rate, round],
    ...[done, seconds.toFixed(6), (done / seconds).toFixed(1), failures],
    ...latenciesOf(sample),
    ...[clientCpuSeconds, appCpuSeconds].map((value) => value.toFixed(6)),
    ...[client?.cpuSeconds.toFixed(6) ?? '', server?.cpuSeconds.toFixed(6) ?? ''],
    ...[client?.peakBytes ?? '', server?.peakBytes ?? ''],
  ];
}

function latenciesOf({ latency }: Sample): readonly string[] {
  if (latency === undefined) return Array.from({ length: 11 }, () => '');
  const intended = unpackHistogram(latency.intended);
  const sent = unpackHistogram(latency.sent);
  const lateness = unpackHistogram(latency.lateness);
  const { minUs, meanUs } = momentsOf(intended);
  return [
    ...[minUs, meanUs, ...[50, 90, 99, 99.9, 100].map((each) => percentileUs(intended, each))],
    ...[50, 99].map((each) => percentileUs(sent, each)),
    ...[50, 99].map((each) => percentileUs(lateness, each)),
  ].map((value) => value.toFixed(1));
}
