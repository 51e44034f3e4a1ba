/** One direction of a chart: where values lie between its ends, and what is written along it. */
export interface Axis {
  readonly title: string;
  /** 0 at the beginning of the axis, 1 at its end; values beyond are held at the ends. */
  place(value: number): number;
  readonly ticks: readonly Tick[];
}

export interface Tick {
  readonly at: number;
  readonly label: string;
}

const ROUND_STEPS = [1, 2, 2.5, 5, 10];
const WISHED_TICKS = 4;
const MOST_MARKS = 7;

function held(share: number): number {
  return Math.min(1, Math.max(0, share));
}

/** From zero to a round value not below `most`. */
export function linearAxis(title: string, most: number, label: (value: number) => string): Axis {
  const rough = (most > 0 ? most : 1) / WISHED_TICKS;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = (ROUND_STEPS.find((each) => each * decade >= rough) ?? 10) * decade;
  const count = Math.max(1, Math.ceil(most / step));
  const end = count * step;
  const place = (value: number): number => held(value / end);
  const ticks = Array.from({ length: count + 1 }, (_, index) => ({
    at: index / count,
    label: label(index * step),
  }));
  return { title, place, ticks };
}

/** Logarithmic, from one of 1, 2, 5 of a decade to another; both values are above 0. */
export function logAxis(
  title: string,
  least: number,
  most: number,
  label: (value: number) => string,
): Axis {
  const marks: number[] = [];
  const first = Math.floor(Math.log10(least));
  for (let power = first; power <= Math.ceil(Math.log10(most)); power++) {
    for (const step of [1, 2, 5]) marks.push(step * 10 ** power);
  }
  const start = marks.findLast((mark) => mark <= least) ?? least;
  const end = marks.find((mark) => mark >= most && mark > start) ?? most;
  const span = Math.log(end / start);
  const place = (value: number): number => held(Math.log(Math.max(value, start) / start) / span);
  const shown = marks.filter((mark) => mark >= start && mark <= end);
  // Too many of them run into each other: then only whole decades are written.
  const isDecade = (mark: number): boolean =>
    Number.isInteger(Math.round(Math.log10(mark) * 1e6) / 1e6);
  const written = shown.length > MOST_MARKS ? shown.filter(isDecade) : shown;
  return { title, place, ticks: written.map((mark) => ({ at: place(mark), label: label(mark) })) };
}

/** Each value has a place of its own, at even distances. */
export function stepAxis(title: string, values: readonly number[]): Axis {
  const at = (index: number): number => (index + 0.5) / values.length;
  return {
    title,
    place: (value) => at(values.indexOf(value)),
    ticks: values.map((value, index) => ({ at: at(index), label: value.toLocaleString('en') })),
  };
}

const NINES = [50, 90, 99, 99.9, 99.99];

/** Percentiles so that each further nine takes the same room: the tail is seen as well as the middle. */
export function ninesAxis(title: string, most: number): Axis {
  const depth = (percentile: number): number => -Math.log10(1 - percentile / 100);
  const end = NINES.find((mark) => mark >= most) ?? 99.99;
  const ticks = NINES.filter((mark) => mark <= end);
  const place = (percentile: number): number =>
    held(percentile >= 100 ? 1 : depth(percentile) / depth(end));
  return { title, place, ticks: ticks.map((mark) => ({ at: place(mark), label: `${mark} %` })) };
}
