/** One row of two texts side by side. */
export interface Row {
  readonly kind: 'same' | 'changed' | 'left' | 'right';
  readonly left?: string;
  readonly right?: string;
}

/** Beyond this many cells the longest common part is not looked for: lines are compared as sets. */
const MAX_CELLS = 4_000_000;

/** Puts equal lines of two texts beside each other, in order; what is between stands side by side. */
export function alignLines(left: readonly string[], right: readonly string[]): readonly Row[] {
  if (left.length * right.length > MAX_CELLS) return alignAsSets(left, right);
  const lengths = commonLengths(left, right);
  const rows: Row[] = [];
  let gone: string[] = [];
  let come: string[] = [];
  const flush = (): void => {
    rows.push(...pairUp(gone, come));
    gone = [];
    come = [];
  };
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const a = left[i];
    const b = right[j];
    if (a !== undefined && a === b) {
      flush();
      rows.push({ kind: 'same', left: a, right: a });
      i += 1;
      j += 1;
    } else if (
      b === undefined ||
      (a !== undefined && (lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0))
    ) {
      gone.push(a ?? '');
      i += 1;
    } else {
      come.push(b);
      j += 1;
    }
  }
  flush();
  return rows;
}

/** Length of the longest common part of the rests from i and from j on. */
function commonLengths(left: readonly string[], right: readonly string[]): readonly Uint32Array[] {
  const lengths = Array.from({ length: left.length + 1 }, () => new Uint32Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i--) {
    const row = lengths[i] as Uint32Array;
    const below = lengths[i + 1] as Uint32Array;
    for (let j = right.length - 1; j >= 0; j--) {
      const isSame = left[i] === right[j];
      row[j] = isSame ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
    }
  }
  return lengths;
}

/** Lines with the same beginning stand beside each other as changed, others alone. */
function pairUp(gone: readonly string[], come: readonly string[]): readonly Row[] {
  const rest = [...come];
  const rows = gone.map((left): Row => {
    const at = rest.findIndex((right) => beginning(right) === beginning(left));
    const [right] = at < 0 ? [] : rest.splice(at, 1);
    return right === undefined ? { kind: 'left', left } : { kind: 'changed', left, right };
  });
  return [...rows, ...rest.map((right): Row => ({ kind: 'right', right }))];
}

function beginning(line: string): string {
  const words = line.split(' ');
  return words.slice(0, Math.max(1, Math.ceil(words.length / 2))).join(' ');
}

function alignAsSets(left: readonly string[], right: readonly string[]): readonly Row[] {
  const others = new Set(right);
  const own = new Set(left);
  return [
    ...left.map((line): Row =>
      others.has(line) ? { kind: 'same', left: line, right: line } : { kind: 'left', left: line },
    ),
    ...right.filter((line) => !own.has(line)).map((line): Row => ({ kind: 'right', right: line })),
  ];
}
