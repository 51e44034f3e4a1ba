import type { LoadOrder } from '../load/load-order.ts';
import { cpuSeconds, forgetPeak, residentBytes } from '../process-cost.ts';
import type { BenchLab } from './bench-lab.ts';
import type { Sample } from './bench-run.ts';
import { type Cell, isLatency } from './cell.ts';

export interface CellTimes {
  readonly warmUpMs: number;
  readonly windowMs: number;
}

/**
 * One load on one mode: what came of it, and what proxies, app and generator used between the two
 * ends of its window. @throws LoadError
 */
export async function measureCell(
  bench: BenchLab,
  cell: Cell,
  times: CellTimes,
): Promise<Omit<Sample, 'round'>> {
  const proxies = bench.proxies[cell.placement];
  const places = [bench.app[cell.placement], ...proxies.map(({ place }) => place)];
  let before: readonly number[] = [];
  let after: readonly number[] = [];
  for (const { place } of proxies) forgetPeak(place);
  const { latency, ...result } = await bench.load.run(orderOf(bench, cell, times), {
    onOpened: () => (before = places.map(cpuSeconds)),
    onClosed: () => (after = places.map(cpuSeconds)),
  });
  const used = (index: number): number => (after[index] ?? 0) - (before[index] ?? 0);
  return {
    ...result,
    appCpuSeconds: used(0),
    proxies: proxies.map(({ name, side, place }, index) => ({
      name,
      side,
      cpuSeconds: used(index + 1),
      peakBytes: residentBytes(place).peak,
    })),
    ...(latency && { latency }),
  };
}

function orderOf({ targetOf }: BenchLab, cell: Cell, times: CellTimes): LoadOrder {
  const { kind, connections, placement } = cell;
  const base = { ...times, ...targetOf(placement, kind), connections };
  if (isLatency(cell)) return { ...base, kind: 'open-loop', rate: cell.rate };
  if (kind === 'open-loop') throw new TypeError('Cannot pace a load: it has no rate');
  return { ...base, kind };
}
