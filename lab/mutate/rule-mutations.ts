import { normaliseRule } from '../../dataplane/redirect/normalise.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { renderOption, ruleOptions } from '../../dataplane/redirect/render.ts';
import type { RuleOption } from '../../dataplane/redirect/rule.ts';
import { renderSavedRule, type SavedRule } from '../../dataplane/redirect/saved.ts';
import { isOurChain, targetOf } from '../../dataplane/redirect/recognise/compare.ts';
import type { Mutation } from './mutation.ts';
import { inPlace } from '../world/in-place.ts';
import type { MutablePlace, PlaceGroup } from './places.ts';

const RESTORE = ['iptables-restore', '-w', '10'] as const;

interface Found {
  readonly table: string;
  readonly rule: SavedRule;
  /** From 1, as `iptables --line-numbers` counts. */
  readonly number: number;
  readonly place: MutablePlace;
}

/**
 * Every rule of Istio's in iptables, removed, and with each of its conditions left out, in all places
 * of a group at once. A place is changed and restored by loading the whole text of its tables: order
 * comes back too.
 */
export function ruleMutations({ prefix, places }: PlaceGroup): readonly Mutation[] {
  const groups = new Map<string, Found[]>();
  for (const place of places) {
    const times = new Map<string, number>();
    for (const { table, rule, number } of ourRules(place)) {
      const text = `${table} ${rule.chain} ${normaliseRule(rule.options, 'ipv4')}`;
      const time = (times.get(text) ?? 0) + 1;
      times.set(text, time);
      // The same words stand in one chain more than once: each is one of its own.
      const key = time === 1 ? text : `${text} (${time})`;
      groups.set(key, [...(groups.get(key) ?? []), { table, rule, number, place }]);
    }
  }
  const reasons = reasonsOf(places);
  return [...groups].flatMap(([key, found]) => {
    const [first] = found;
    if (first === undefined) return [];
    const make = (change: string, options: readonly RuleOption[] | undefined): Mutation =>
      mutationOf(
        `${prefix}${key}`,
        found,
        change,
        options,
        reasons.get(key.replace(/ \(\d+\)$/, '')),
      );
    const widened = conditionsOf(first.rule).map(({ name, options }) =>
      make(`without ${name}`, options),
    );
    return [make('removed', undefined), ...widened];
  });
}

/** The text of a place's tables without any rule of Istio's. */
export function withoutOurRules(place: MutablePlace): string {
  const gone = new Set(ourRules(place).map(({ rule }) => rule.line));
  return place.state.rules
    .split('\n')
    .filter((_, index) => !gone.has(index + 1))
    .join('\n');
}

/** Loads the text of a place's tables anew. */
export async function restoreRules(
  lab: Parameters<Mutation['apply']>[0],
  { place, state }: MutablePlace,
): Promise<void> {
  await inPlace(lab, place, RESTORE, state.rules);
}

/** Rules in Istio's chains, jumps to them, and what the era puts into chains of the kernel's own. */
function ourRules(place: MutablePlace): readonly Omit<Found, 'place'>[] {
  const wanted = reasonsOf([place]);
  return parseSave(place.state.rules).tables.flatMap(({ name: table, rules }) =>
    rules
      .map((rule, index) => {
        const before = rules.slice(0, index).filter(({ chain }) => chain === rule.chain);
        return { table, rule, number: before.length + 1 };
      })
      .filter(
        ({ rule }) =>
          isOurChain(rule.chain) ||
          isOurChain(targetOf(rule)) ||
          wanted.has(`${table} ${rule.chain} ${normaliseRule(rule.options, 'ipv4')}`),
      ),
  );
}

/** Reasons of the era's rules by table, chain and normal text. */
function reasonsOf(places: readonly MutablePlace[]): ReadonlyMap<string, string> {
  return new Map(
    places.flatMap(({ wanted }) =>
      (wanted?.families ?? []).flatMap(({ family, rules }) =>
        rules.map((rule): [string, string] => [
          `${rule.table} ${rule.chain} ${normaliseRule(ruleOptions(rule), family)}`,
          rule.why,
        ]),
      ),
    ),
  );
}

function mutationOf(
  key: string,
  found: readonly Found[],
  change: string,
  options: readonly RuleOption[] | undefined,
  why: string | undefined,
): Mutation {
  const [{ table, rule, number }] = found as [Found];
  const each = async (act: (one: Found) => Promise<unknown>): Promise<void> => {
    await Promise.all(found.map(act));
  };
  return {
    id: `${key} | ${change}`,
    kind: 'rule',
    change,
    where: `${table} ${rule.chain} ${number}`,
    text: renderSavedRule(rule).slice(`-A ${rule.chain} `.length),
    ...(why === undefined ? {} : { why }),
    places: found.map(({ place }) => place.place),
    apply: (lab) => each((one) => inPlace(lab, one.place.place, RESTORE, mutated(one, options))),
    restore: (lab) => each(({ place }) => restoreRules(lab, place)),
  };
}

/** The tables of a place with one line gone, or replaced. */
function mutated({ rule, place }: Found, options: readonly RuleOption[] | undefined): string {
  const lines = place.state.rules.split('\n');
  const line =
    options === undefined ? [] : [['-A', rule.chain, ...options.map(renderOption)].join(' ')];
  return lines.toSpliced(rule.line - 1, 1, ...line).join('\n');
}

interface Condition {
  readonly name: string;
  readonly options: readonly RuleOption[];
}

/** Targets that want a protocol. */
const OF_PROTOCOL: ReadonlySet<string> = new Set(['TPROXY', 'REDIRECT', 'DNAT']);

/** The rule without each of its conditions in turn; the protocol stays where others rest on it. */
function conditionsOf(rule: SavedRule): readonly Condition[] {
  const jump = rule.options.findIndex(({ flag }) => flag === '-j');
  const match = rule.options.slice(0, jump);
  const target = rule.options.slice(jump);
  const isProtocolNeeded =
    OF_PROTOCOL.has(targetOf(rule)) ||
    match.some(({ flag, values }) => flag === '-m' && ['tcp', 'udp'].includes(values[0] ?? ''));
  return match.flatMap((option, index): readonly Condition[] => {
    if (option.flag === '-m' || (option.flag === '-p' && isProtocolNeeded)) return [];
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
