import { normaliseRule } from '../normalise.ts';
import { isBuiltInChain, ruleOptions } from '../render.ts';
import type { Family, FamilyRules, RedirectRule } from '../rule.ts';
import type { SavedRule, SavedRules } from '../saved.ts';
import { alignChain, outOfOrder } from './align.ts';
import type { Candidate, Parameter } from './candidate.ts';

/** A rule of the saved text in its place. */
export interface FoundRule {
  readonly table: string;
  readonly chain: string;
  readonly text: string;
  readonly rule: SavedRule;
}

/** A rule of a candidate in its place, spelt with the values of this cluster. */
export interface WishedRule {
  readonly table: string;
  readonly chain: string;
  readonly text: string;
  readonly rule: RedirectRule;
}

/** Istio has one value here (or a default), and the text has another in every rule that has it. */
export interface Deviation {
  readonly parameter: Parameter;
  readonly value: string;
}

/** How far a saved text is from a candidate. */
export interface Comparison {
  readonly candidate: Candidate;
  readonly same: readonly (readonly [WishedRule, FoundRule])[];
  readonly altered: readonly (readonly [WishedRule, FoundRule])[];
  readonly missing: readonly WishedRule[];
  /** In chains of Istio, or jumps to them, and not of this set. */
  readonly extra: readonly FoundRule[];
  /** Rules that both have, standing elsewhere in their chain. */
  readonly misplaced: readonly (readonly [WishedRule, FoundRule])[];
  readonly deviations: readonly Deviation[];
  /** 0: equal. */
  readonly distance: number;
}

/** Beginnings of the names of Istio's chains: in-pod and sidecar; node-level redirect. */
export const OUR_PREFIXES = ['ISTIO_', 'ztunnel-'] as const;

/** Whether a chain is one of Istio's by its name. */
export function isOurChain(name: string): boolean {
  return OUR_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** The chain or verdict that a rule leads to. */
export function targetOf(rule: SavedRule): string {
  const jump = rule.options.find(({ flag }) => /^(?:-j|--jump|-g|--goto)$/.test(flag));
  return jump?.values[0] ?? '';
}

/** Every rule of a text in the spelling of comparisons. */
export function foundRules(saved: SavedRules, family: Family): readonly FoundRule[] {
  return saved.tables.flatMap(({ name, rules }) =>
    rules.map((rule) => ({
      table: name,
      chain: rule.chain,
      text: normaliseRule(rule.options, family),
      rule,
    })),
  );
}

/** Compares with the values that the candidate has, then with those that the text has throughout. */
export function compareWith(candidate: Candidate, found: readonly FoundRule[]): Comparison {
  const wished = wishedRules(candidate.rules);
  const first = align(candidate, wished, found, []);
  const deviations = findDeviations(candidate.parameters, first);
  if (deviations.length === 0) return first;
  return align(
    candidate,
    wished.map((rule) => spell(rule, deviations)),
    found,
    deviations,
  );
}

function wishedRules({ family, rules }: FamilyRules): readonly WishedRule[] {
  return rules.map((rule) => ({
    table: rule.table,
    chain: rule.chain,
    text: normaliseRule(ruleOptions(rule), family),
    rule,
  }));
}

function align(
  candidate: Candidate,
  wished: readonly WishedRule[],
  found: readonly FoundRule[],
  deviations: readonly Deviation[],
): Comparison {
  const same: [WishedRule, FoundRule][] = [];
  const altered: [WishedRule, FoundRule][] = [];
  const misplaced: [WishedRule, FoundRule][] = [];
  const missing: WishedRule[] = [];
  const extra: FoundRule[] = [];
  const wishedByPlace = groupByPlace(wished);
  const foundByPlace = groupByPlace(found);
  for (const key of new Set([...wishedByPlace.keys(), ...foundByPlace.keys()])) {
    const left = wishedByPlace.get(key) ?? [];
    const all = foundByPlace.get(key) ?? [];
    const right = all.filter((rule) => isComparable(rule, left));
    const pair = ([a, b]: readonly [number, number]): [WishedRule, FoundRule] => [
      left[a] as WishedRule,
      right[b] as FoundRule,
    ];
    const paired = alignChain(
      left.map(({ text }, index) => [index, text]),
      right.map(({ text }, index) => [index, text]),
    );
    const matched = [...paired.same, ...paired.altered].sort((a, b) => a[1] - b[1]);
    const moved = outOfOrder(matched.map(([index]) => index));
    same.push(...paired.same.map(pair));
    altered.push(...paired.altered.map(pair));
    misplaced.push(...moved.map((at) => pair(matched[at] as [number, number])));
    missing.push(...paired.missing.map((index) => left[index] as WishedRule));
    extra.push(...paired.extra.map((index) => right[index] as FoundRule).filter(isOurs));
  }
  const fixed = deviations.filter(({ parameter }) => !parameter.isFree).length;
  const distance =
    missing.length +
    extra.length +
    0.6 * altered.length +
    0.3 * (misplaced.length + fixed) +
    0.01 * deviations.length;
  return { candidate, same, altered, missing, extra, misplaced, deviations, distance };
}

/** In built-in chains others have rules too: only those that lead where a wished one leads count. */
function isComparable(rule: FoundRule, wished: readonly WishedRule[]): boolean {
  if (!isBuiltInChain(rule.chain)) return isOurChain(rule.chain);
  const target = targetOf(rule.rule);
  return isOurs(rule) || wished.some((each) => each.rule.target.name === target);
}

function isOurs(rule: FoundRule): boolean {
  return isOurChain(rule.chain) || isOurChain(targetOf(rule.rule));
}

function groupByPlace<T extends { readonly table: string; readonly chain: string }>(
  rules: readonly T[],
): Map<string, T[]> {
  const places = new Map<string, T[]>();
  for (const rule of rules) {
    const key = `${rule.table} ${rule.chain}`;
    const list = places.get(key);
    if (list === undefined) places.set(key, [rule]);
    else list.push(rule);
  }
  return places;
}

function findDeviations(
  parameters: readonly Parameter[],
  comparison: Comparison,
): readonly Deviation[] {
  const pairs = [...comparison.same, ...comparison.altered];
  return parameters.flatMap((parameter) => {
    const values = new Set(pairs.flatMap((pair) => valuesOf(parameter.token, ...pair)));
    const [value] = values;
    const isOther = values.size === 1 && value !== undefined && value !== parameter.token;
    return isOther ? [{ parameter, value }] : [];
  });
}

/** What stands in a found rule where the wished one has the token; nothing where it has none. */
function valuesOf(token: string, wished: WishedRule, found: FoundRule): readonly string[] {
  const left = wished.text.split(' ');
  const right = found.text.split(' ');
  if (!left.includes(token)) return [];
  if (left.length !== right.length) return [right.includes(token) ? token : ''];
  return left.flatMap((word, index) => (word === token ? [right[index] ?? ''] : []));
}

function spell(rule: WishedRule, deviations: readonly Deviation[]): WishedRule {
  const words = rule.text.split(' ').map((word) => {
    const found = deviations.find(({ parameter }) => parameter.token === word);
    return found?.value ?? word;
  });
  return { ...rule, text: words.join(' ') };
}
