import { isBuiltInChain } from '../render.ts';
import type { SavedRules } from '../saved.ts';
import { renderSavedRule } from '../saved.ts';
import { isOurChain, targetOf } from './compare.ts';
import type { Comparison, FoundRule, WishedRule } from './compare.ts';

/**
 * One thing in which a text differs from the rule set it is. `missing`: not there; `altered`: there
 * with other words; `moved`: there, in another chain; `duplicated`: there again; `order`: there, not
 * in its turn; `foreign`: in Istio's chains and nobody's of Istio; `ahead`: of others, before the jump
 * to Istio's chain; `leftover`: an empty chain with Istio's name.
 */
export interface Difference {
  readonly kind:
    'missing' | 'altered' | 'moved' | 'duplicated' | 'order' | 'foreign' | 'ahead' | 'leftover';
  readonly table: string;
  readonly chain: string;
  /** Line of the file, where there is one. */
  readonly line?: number;
  /** The rule as the file has it; of a missing one, as it should be. */
  readonly text: string;
  /** As it should be, where that is something else. */
  readonly wished?: string;
  /** Why the rule set has the rule; what its loss means. */
  readonly why?: string;
}

/** Everything wrong in a text that is most like the candidate of the comparison, in the order of its lines. */
export function differencesOf(
  comparison: Comparison,
  saved: SavedRules,
  found: readonly FoundRule[],
): readonly Difference[] {
  const { missing, extra } = comparison;
  const moved = pairMoved(missing, extra);
  const movedFrom = new Set(moved.map(([wished]) => wished));
  const movedTo = new Set(moved.map(([, rule]) => rule));
  const placed = new Set(comparison.same.map(([wished]) => keyOf(wished)));
  return [
    ...missing.filter((rule) => !movedFrom.has(rule)).map(missingRule),
    ...comparison.altered.map(([wished, rule]) => ({
      kind: 'altered' as const,
      ...seen(rule),
      wished: spelt(wished),
      why: wished.rule.why,
    })),
    ...moved.map(([wished, rule]) => ({
      kind: 'moved' as const,
      ...seen(rule),
      wished: `in ${wished.table} ${wished.chain}`,
      why: wished.rule.why,
    })),
    ...comparison.misplaced.map(([wished, rule]) => ({
      kind: 'order' as const,
      ...seen(rule),
      wished: turnOf(wished, comparison),
      why: wished.rule.why,
    })),
    ...extra
      .filter((rule) => !movedTo.has(rule))
      .map((rule) => ({
        kind: placed.has(keyOf(rule)) ? ('duplicated' as const) : ('foreign' as const),
        ...seen(rule),
      })),
    ...aheadOfUs(comparison, found),
    ...leftovers(comparison, saved),
  ];
}

function missingRule(rule: WishedRule): Difference {
  const { table, chain } = rule;
  return { kind: 'missing', table, chain, text: spelt(rule), why: rule.rule.why };
}

/** The same words in another chain. */
function pairMoved(
  missing: readonly WishedRule[],
  extra: readonly FoundRule[],
): readonly (readonly [WishedRule, FoundRule])[] {
  const left = [...extra];
  return missing.flatMap((wished) => {
    const at = left.findIndex((rule) => rule.text === wished.text);
    const [rule] = at < 0 ? [] : left.splice(at, 1);
    return rule === undefined ? [] : [[wished, rule] as const];
  });
}

/** After which rule of its chain it should stand. */
function turnOf(wished: WishedRule, comparison: Comparison): string {
  const chain = comparison.candidate.rules.rules.filter(
    (rule) => rule.table === wished.table && rule.chain === wished.chain,
  );
  return `rule ${chain.indexOf(wished.rule) + 1} of Istio's in this chain`;
}

/** Rules of others that a packet meets before ours; on a node everybody's rules stand side by side. */
function aheadOfUs(comparison: Comparison, found: readonly FoundRule[]): readonly Difference[] {
  if (comparison.candidate.set.kind === 'node') return [];
  const ours = new Set([...comparison.same, ...comparison.altered].map(([, rule]) => rule));
  const lastOfOurs = new Map<string, number>();
  found.forEach((rule, index) => {
    const isOurs = ours.has(rule) || isOurChain(targetOf(rule.rule));
    if (isBuiltInChain(rule.chain) && isOurs) lastOfOurs.set(`${rule.table} ${rule.chain}`, index);
  });
  return found.flatMap((rule, index): readonly Difference[] => {
    const last = lastOfOurs.get(`${rule.table} ${rule.chain}`) ?? -1;
    const isOurs = ours.has(rule) || isOurChain(targetOf(rule.rule));
    if (index > last || isOurs) return [];
    const why = "A packet that this rule takes never meets Istio's rules of this table.";
    return [{ kind: 'ahead', ...seen(rule), why }];
  });
}

function leftovers(comparison: Comparison, saved: SavedRules): readonly Difference[] {
  const wished = new Set(
    comparison.candidate.rules.rules.flatMap(({ table, chain, target }) => [
      `${table} ${chain}`,
      `${table} ${target.name}`,
    ]),
  );
  return saved.tables.flatMap(({ name: table, chains, rules }) =>
    chains
      .filter(({ name }) => isOurChain(name) && !wished.has(`${table} ${name}`))
      .filter(({ name }) => rules.every(({ chain }) => chain !== name))
      .map(({ name, line }) => ({
        kind: 'leftover' as const,
        table,
        chain: name,
        line,
        text: `:${name}`,
      })),
  );
}

function seen(rule: FoundRule): Pick<Difference, 'table' | 'chain' | 'line' | 'text'> {
  const { table, chain } = rule;
  return { table, chain, line: rule.rule.line, text: renderSavedRule(rule.rule) };
}

function spelt(rule: WishedRule): string {
  return `-A ${rule.chain} ${rule.text}`;
}

function keyOf({ table, chain, text }: WishedRule | FoundRule): string {
  return `${table} ${chain} ${text}`;
}
