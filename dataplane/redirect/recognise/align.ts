/** What became of one wished rule among those found; indices into the two lists. */
export interface Alignment {
  readonly same: readonly (readonly [wished: number, found: number])[];
  /** Alike but not equal. */
  readonly altered: readonly (readonly [wished: number, found: number])[];
  readonly missing: readonly number[];
  readonly extra: readonly number[];
}

/** Rules that share less of their words are two rules, not one that was altered. */
const ALIKE = 0.55;
/** Beyond this many on both sides nothing is compared word by word: that is no altered rule set. */
const MAX_PAIRS = 20_000;

/** Pairs the rules of one chain: equal ones in their order, then the most alike. */
export function alignChain(
  wished: readonly (readonly [number, string])[],
  found: readonly (readonly [number, string])[],
): Alignment {
  const same: [number, number][] = [];
  const byText = new Map<string, number[]>();
  for (const [index, text] of found) {
    const list = byText.get(text);
    if (list === undefined) byText.set(text, [index]);
    else list.push(index);
  }
  const missing = wished.filter(([index, text]) => {
    const at = byText.get(text)?.shift();
    if (at !== undefined) same.push([index, at]);
    return at === undefined;
  });
  const taken = new Set(same.map(([, index]) => index));
  const extra = found.filter(([index]) => !taken.has(index));
  const altered = pairAlike(missing, extra);
  const paired = new Set(altered.map(([index]) => index));
  const used = new Set(altered.map(([, index]) => index));
  return {
    same,
    altered,
    missing: missing.map(([index]) => index).filter((index) => !paired.has(index)),
    extra: extra.map(([index]) => index).filter((index) => !used.has(index)),
  };
}

function pairAlike(
  wished: readonly (readonly [number, string])[],
  found: readonly (readonly [number, string])[],
): [number, number][] {
  if (wished.length * found.length > MAX_PAIRS) return [];
  const scored = wished.flatMap(([left, a]) =>
    found.map(([right, b]) => ({ left, right, score: likeness(a, b) })),
  );
  const pairs: [number, number][] = [];
  const lefts = new Set<number>();
  const rights = new Set<number>();
  for (const { left, right, score } of scored.toSorted((a, b) => b.score - a.score)) {
    if (score < ALIKE || lefts.has(left) || rights.has(right)) continue;
    lefts.add(left);
    rights.add(right);
    pairs.push([left, right]);
  }
  return pairs;
}

/** Share of words that two rules have in common, 0 to 1 (Dice's coefficient). */
export function likeness(a: string, b: string): number {
  const left = a.split(' ');
  const right = b.split(' ');
  const counts = new Map<string, number>();
  for (const word of left) counts.set(word, (counts.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of right) {
    const count = counts.get(word) ?? 0;
    if (count > 0) common += 1;
    counts.set(word, count - 1);
  }
  return (2 * common) / (left.length + right.length);
}

/**
 * Which members of a list of ranks stand out of order: those that are not in its longest rising
 * part. Equal to moving as few as possible.
 */
export function outOfOrder(ranks: readonly number[]): readonly number[] {
  const tails: number[] = [];
  const before: number[] = [];
  ranks.forEach((rank, index) => {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ranks[tails[middle] ?? 0] ?? 0) < rank) low = middle + 1;
      else high = middle;
    }
    before.push(low === 0 ? -1 : (tails[low - 1] ?? -1));
    tails[low] = index;
  });
  const kept = new Set<number>();
  for (let at = tails.at(-1) ?? -1; at >= 0; at = before[at] ?? -1) kept.add(at);
  return ranks.flatMap((_, index) => (kept.has(index) ? [] : [index]));
}
