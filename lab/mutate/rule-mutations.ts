import { normaliseRule } from '../../dataplane/redirect/normalise.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { renderOption } from '../../dataplane/redirect/render.ts';
import type { RuleOption } from '../../dataplane/redirect/rule.ts';
import { renderSavedRule, type SavedRule } from '../../dataplane/redirect/saved.ts';
import { isOurChain, targetOf } from '../../dataplane/redirect/recognise/compare.ts';
import type { Mutation } from './mutation.ts';
import { inPlace, type PlaceState } from './place-state.ts';

/** Reasons of rules by table, chain and normal text. */
export type Reasons = ReadonlyMap<string, string>;

interface Found {
  readonly table: string;
  readonly rule: SavedRule;
  readonly state: PlaceState;
}

/**
 * Every rule of Istio's, removed, and with each of its conditions left out, in all places at once.
 * A place is changed and restored by loading the whole text of its tables: order comes back too.
 */
export function ruleMutations(
  states: readonly PlaceState[],
  reasons: Reasons,
): readonly Mutation[] {
  const groups = new Map<string, Found[]>();
  for (const state of states) {
    for (const { name, rules } of parseSave(state.rules).tables) {
      for (const rule of rules.filter(isOurs)) {
        const key = `${name} ${rule.chain} ${normaliseRule(rule.options, 'ipv4')}`;
        groups.set(key, [...(groups.get(key) ?? []), { table: name, rule, state }]);
      }
    }
  }
  return [...groups].flatMap(([key, found]) => {
    const [first] = found;
    if (first === undefined) return [];
    const removed = mutationOf(key, found, 'removed', undefined, reasons);
    const widened = conditionsOf(first.rule).map(({ name, options }) =>
      mutationOf(key, found, `without ${name}`, options, reasons),
    );
    return [removed, ...widened];
  });
}

function isOurs(rule: SavedRule): boolean {
  return isOurChain(rule.chain) || isOurChain(targetOf(rule));
}

function mutationOf(
  key: string,
  found: readonly Found[],
  change: string,
  options: readonly RuleOption[] | undefined,
  reasons: Reasons,
): Mutation {
  const [{ table, rule }] = found as [Found];
  const why = reasons.get(key);
  const each = async (act: (one: Found) => Promise<unknown>): Promise<void> => {
    await Promise.all(found.map(act));
  };
  return {
    id: `${key} | ${change}`,
    kind: 'rule',
    change,
    where: `${table} ${rule.chain}`,
    text: renderSavedRule(rule).slice(`-A ${rule.chain} `.length),
    ...(why === undefined ? {} : { why }),
    places: found.map(({ state }) => state.place),
    apply: (lab) =>
      each((one) =>
        inPlace(lab, one.state.place, ['iptables-restore', '-w', '10'], mutated(one, options)),
      ),
    restore: (lab) =>
      each(({ state }) => inPlace(lab, state.place, ['iptables-restore', '-w', '10'], state.rules)),
  };
}

/** The tables of a place with one line gone, or replaced. */
function mutated({ rule, state }: Found, options: readonly RuleOption[] | undefined): string {
  const lines = state.rules.split('\n');
  const line =
    options === undefined ? [] : [['-A', rule.chain, ...options.map(renderOption)].join(' ')];
  return lines.toSpliced(rule.line - 1, 1, ...line).join('\n');
}

interface Condition {
  readonly name: string;
  readonly options: readonly RuleOption[];
}

/** The rule without each of its conditions in turn; the protocol stays, for others rest on it. */
function conditionsOf(rule: SavedRule): readonly Condition[] {
  const jump = rule.options.findIndex(({ flag }) => flag === '-j');
  const match = rule.options.slice(0, jump);
  const target = rule.options.slice(jump);
  return match.flatMap((option, index): readonly Condition[] => {
    if (option.flag === '-m' || option.flag === '-p') return [];
    const rest = withoutIdleModules(match.toSpliced(index, 1));
    return [{ name: renderOption(option), options: [...rest, ...target] }];
  });
}

/** A module without an option is refused by iptables, but for those of protocols. */
function withoutIdleModules(match: readonly RuleOption[]): readonly RuleOption[] {
  return match.filter((option, index) => {
    if (option.flag !== '-m' || ['tcp', 'udp'].includes(option.values[0] ?? '')) return true;
    const next = match[index + 1];
    return next !== undefined && next.flag.startsWith('--');
  });
}
