import type { FrameRef } from '../judge/verdict.ts';
import { type Baseline, type BaselineBlock, type BaselineFact, PART } from './baseline.ts';

/** One fact that is not as the baseline has it. */
export interface Change {
  readonly kind: 'changed' | 'gone' | 'new' | 'moved';
  readonly key: string;
  readonly was?: string;
  readonly is?: string;
  /** Where to look; of a fact that is gone, where what it belonged to was seen. */
  readonly frames: readonly FrameRef[];
}

/** What comparing came to for one block. */
export interface BlockDifference {
  readonly name: string;
  readonly kind: 'same' | 'differs' | 'new' | 'vanished';
  readonly changes: readonly Change[];
}

/**
 * Compares block by block, by name: those found in their order, then those that vanished. Of several
 * that bear one name with a number behind it, those that are the same are paired first.
 */
export function compareBaselines(known: Baseline, found: Baseline): readonly BlockDifference[] {
  const left = [...known.blocks];
  const pairs = new Map<BaselineBlock, BaselineBlock>();
  const pairUp = (isPair: (a: BaselineBlock, b: BaselineBlock) => boolean): void => {
    for (const block of found.blocks) {
      const at = pairs.has(block) ? -1 : left.findIndex((each) => isPair(each, block));
      const [partner] = at < 0 ? [] : left.splice(at, 1);
      if (partner !== undefined) pairs.set(block, partner);
    }
  };
  const isOneName = (a: BaselineBlock, b: BaselineBlock): boolean => bare(a.name) === bare(b.name);
  pairUp((a, b) => isOneName(a, b) && compareFacts(a.facts, b.facts).length === 0);
  pairUp(isOneName);
  return [
    ...found.blocks.map((block) => compareBlocks(pairs.get(block), block)),
    ...left.map(({ name }) => ({ name, kind: 'vanished' as const, changes: [] })),
  ];
}

function bare(name: string): string {
  return name.replace(/ \(\d+\)$/, '');
}

/** Compares one block with what the baseline has of it; absent: it is new. */
export function compareBlocks(
  known: BaselineBlock | undefined,
  found: BaselineBlock,
): BlockDifference {
  if (known === undefined) return { name: found.name, kind: 'new', changes: [] };
  const changes = compareFacts(known.facts, found.facts);
  return { name: found.name, kind: changes.length === 0 ? 'same' : 'differs', changes };
}

/** Changes in the order of the facts; what is gone stands where it was. */
function compareFacts(
  known: readonly BaselineFact[],
  found: readonly BaselineFact[],
): readonly Change[] {
  const was = new Map(known.map((fact) => [fact.key, fact]));
  const is = new Map(found.map((fact) => [fact.key, fact]));
  const goneAfter = groupGone(known, is);
  const goneOf = (key: string): readonly Change[] =>
    (goneAfter.get(key) ?? []).map((fact) => goneFact(fact, is, found[0]));
  const changes = [
    ...goneOf(''),
    ...found.flatMap((fact) => [...changeOf(was.get(fact.key), fact), ...goneOf(fact.key)]),
  ];
  const isTold = ({ kind, key }: Change): boolean => {
    const others = kind === 'new' ? was : is;
    // What belongs to a leg that is new or gone is told by the leg.
    return changes.every(
      (each) => each.key !== parentOf(key) || each.kind !== kind || others.has(each.key),
    );
  };
  const told = changes.filter((each) => each.kind === 'changed' || isTold(each));
  return told.length > 0 ? told : movesOf(known, found);
}

/** Facts that are gone, by the key of the last before them that is still there. */
function groupGone(
  known: readonly BaselineFact[],
  is: ReadonlyMap<string, BaselineFact>,
): ReadonlyMap<string, readonly BaselineFact[]> {
  const groups = new Map<string, BaselineFact[]>();
  let before = '';
  for (const fact of known) {
    if (is.has(fact.key)) before = fact.key;
    else groups.set(before, [...(groups.get(before) ?? []), fact]);
  }
  return groups;
}

function goneFact(
  { key, value }: BaselineFact,
  is: ReadonlyMap<string, BaselineFact>,
  first: BaselineFact | undefined,
): Change {
  const frames = (is.get(parentOf(key)) ?? first)?.frames ?? [];
  return { kind: 'gone', key, was: value, frames };
}

function changeOf(known: BaselineFact | undefined, found: BaselineFact): readonly Change[] {
  const { key, value, frames = [] } = found;
  if (known === undefined) return [{ kind: 'new', key, is: value, frames }];
  if (known.value === value) return [];
  return [{ kind: 'changed', key, was: known.value, is: value, frames }];
}

/** The same facts in another order: interfaces that are passed otherwise. */
function movesOf(
  known: readonly BaselineFact[],
  found: readonly BaselineFact[],
): readonly Change[] {
  const at = found.findIndex(({ key }, index) => key !== known[index]?.key);
  const fact = found[at];
  if (fact === undefined) return [];
  const order = (facts: readonly BaselineFact[]): string =>
    facts
      .filter(({ key }) => parentOf(key) === parentOf(fact.key))
      .map(({ key }) => key.slice(parentOf(key).length).replace(PART, ''))
      .join(', ');
  const key = parentOf(fact.key) || fact.key;
  const { frames = [] } = fact;
  return [{ kind: 'moved', key, was: order(known), is: order(found), frames }];
}

/** What a fact belongs to; '' for one of the block itself. */
export function parentOf(key: string): string {
  const end = key.lastIndexOf(PART);
  return end < 0 ? '' : key.slice(0, end);
}
