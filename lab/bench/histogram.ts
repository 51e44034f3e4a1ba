import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from 'hdr-histogram-js';

/** Steps of a microsecond that values are kept in. */
const STEPS_PER_US = 10;

/** An empty histogram of latencies: three digits, from a tenth of a microsecond on. */
export function createHistogram(): Histogram {
  return build({ lowestDiscernibleValue: 1, numberOfSignificantValueDigits: 3, bitBucketSize: 32 });
}

export function recordMs(histogram: Histogram, ms: number): void {
  histogram.recordValue(Math.max(1, Math.round(ms * 1_000 * STEPS_PER_US)));
}

/** Microseconds below which this share (0 to 100) of the values lies; NaN for no values. */
export function percentileUs(histogram: Histogram, percentile: number): number {
  if (histogram.totalCount === 0) return Number.NaN;
  return histogram.getValueAtPercentile(percentile) / STEPS_PER_US;
}

/** HdrHistogram's own compressed form (V2) in base64, values in tenths of a microsecond. */
export function packHistogram(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram);
}

export function unpackHistogram(text: string): Histogram {
  return decodeFromCompressedBase64(text, 32);
}

/** All values of several in one. */
export function mergeHistograms(packed: readonly string[]): Histogram {
  const all = createHistogram();
  for (const text of packed) all.add(unpackHistogram(text));
  return all;
}

export interface Quantile {
  readonly percentile: number;
  readonly valueUs: number;
}

const TICKS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, index) => index + 1),
  ...[99.5, 99.9, 99.95, 99.99, 100],
];

/** The shape of a distribution: values in rising order, none twice; empty for no values. */
export function quantiles(histogram: Histogram): readonly Quantile[] {
  if (histogram.totalCount === 0) return [];
  const all = TICKS.map((percentile) => ({
    percentile,
    valueUs: percentileUs(histogram, percentile),
  }));
  return all.filter(({ valueUs }, index) => valueUs !== all[index + 1]?.valueUs);
}

/** How many values are not above this; the histogram itself tells only the other way round. */
export function countUpTo(histogram: Histogram, us: number): number {
  const { totalCount } = histogram;
  let [low, high] = [0, totalCount];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (percentileUs(histogram, (100 * (middle + 1)) / totalCount) <= us) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface Moments {
  readonly count: number;
  readonly minUs: number;
  readonly maxUs: number;
  readonly meanUs: number;
  readonly deviationUs: number;
}

export function momentsOf(histogram: Histogram): Moments {
  return {
    count: histogram.totalCount,
    minUs: histogram.minNonZeroValue / STEPS_PER_US,
    maxUs: histogram.maxValue / STEPS_PER_US,
    meanUs: histogram.mean / STEPS_PER_US,
    deviationUs: histogram.stdDeviation / STEPS_PER_US,
  };
}
