/** Beyond this a name is no longer a slip of the finger, and comparing it is wasted time. */
const LONGEST_NAME = 64;

/**
 * The candidate that differs least from what was typed, if it differs little enough to be a slip:
 * at most two letters in five of the longer name, or one is a beginning of the other. Ties go to the first.
 */
export function nearest(typed: string, candidates: Iterable<string>): string | undefined {
  if (typed.length === 0 || typed.length > LONGEST_NAME) return undefined;
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    if (candidate.length > LONGEST_NAME) continue;
    const distance = distanceOf(typed.toLowerCase(), candidate.toLowerCase());
    const allowed = Math.max(1, Math.floor(0.4 * Math.max(typed.length, candidate.length)));
    const isBeginning = typed.length >= 3 && candidate.startsWith(typed);
    if ((distance <= allowed || isBeginning) && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** The hint that goes with an error about a name; none when no name is near. */
export function didYouMean(typed: string, known: Iterable<string>): string | undefined {
  const name = nearest(typed, known);
  return name === undefined ? undefined : `Did you mean "${name}"?`;
}

/** Optimal string alignment distance: insert, delete, replace, or swap two neighbours. */
function distanceOf(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
