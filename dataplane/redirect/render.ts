import { isOurChain } from './constants.ts';
import { nftCommands } from './nft-render.ts';
import type { FamilyRules, RedirectRule, RuleOption, RuleSet, Table } from './rule.ts';
import { ipArguments } from './routing.ts';

const BUILT_IN_CHAINS: ReadonlySet<string> = new Set([
  'PREROUTING',
  'INPUT',
  'FORWARD',
  'OUTPUT',
  'POSTROUTING',
]);

/** Whether the kernel has the chain without anybody making it. */
export function isBuiltInChain(chain: string): boolean {
  return BUILT_IN_CHAINS.has(chain);
}

/**
 * Input of `iptables-restore --noflush` for one family, to the byte what Istio's CNI feeds it: tables
 * in the order of the rules, `-N` for chains in the order in which each first gets a rule, then rules.
 */
export function renderRestore(family: FamilyRules): string {
  return tablesOf(family)
    .map((table) => renderTable(table, family))
    .join('');
}

/** Every command that would do the same by hand, for people: chains, rules, policy routing, sets. */
export function renderCommands(rules: RuleSet): readonly string[] {
  const ipsets = rules.sets.filter((set) => set.table === undefined);
  const sets = ipsets.map(
    (set) =>
      `ipset create ${set.name} hash:ip comment family ${set.family === 'ipv4' ? 'inet' : 'inet6'}`,
  );
  const iptables = rules.families.flatMap((family) => {
    const program = family.family === 'ipv4' ? 'iptables' : 'ip6tables';
    return tablesOf(family).flatMap((table) => [
      ...chainsOf(table, family).map((chain) => `${program} -t ${table} -N ${chain}`),
      ...ownedChainsOf(table, family).map((chain) => `${program} -t ${table} -F ${chain}`),
      ...rulesOf(table, family).map((rule) => `${program} -t ${table} ${renderRule(rule)}`),
    ]);
  });
  const routing = rules.routing.map((entry) => `ip ${ipArguments(entry, 'add').join(' ')}`);
  const nft = nftCommands(rules.nft ?? []).map((line) => `nft '${line}'`);
  return [...sets, ...iptables, ...nft, ...routing];
}

/** One rule as a line of a restore file. */
function renderRule(rule: RedirectRule): string {
  const place = rule.position === 'first' ? `-I ${rule.chain} 1` : `-A ${rule.chain}`;
  return [place, ...ruleOptions(rule).map(renderOption)].join(' ');
}

/** Match and target of a rule as one list of options. */
export function ruleOptions(rule: RedirectRule): readonly RuleOption[] {
  return [...rule.match, { flag: '-j', values: [rule.target.name] }, ...rule.target.options];
}

/** One option as iptables writes it, negation first, quotes where they stood or are needed. */
export function renderOption(option: RuleOption): string {
  const values = option.values.map((value, index) =>
    option.quoted?.includes(index) === true || !isPlain(value) ? quote(value) : value,
  );
  return [...(option.negated === true ? ['!'] : []), option.flag, ...values].join(' ');
}

/** Chains that a table needs made, in the order of their `-N` lines. */
export function chainsOf(table: Table, family: FamilyRules): readonly string[] {
  const rules = rulesOf(table, family);
  const named = [...rules.map((rule) => rule.chain), ...rules.map((rule) => rule.target.name)];
  const ours = named.filter((name) => !isBuiltInChain(name) && isOurChain(name));
  return [...new Set(ours)];
}

function renderTable(table: Table, family: FamilyRules): string {
  const lines = [
    `* ${table}`,
    ...chainsOf(table, family).map((chain) => `-N ${chain}`),
    ...ownedChainsOf(table, family).map((chain) => `-F ${chain}`),
    ...rulesOf(table, family).map(renderRule),
    'COMMIT',
  ];
  return `${lines.join('\n')}\n`;
}

function tablesOf(family: FamilyRules): readonly Table[] {
  const owned = (family.ownedChains ?? []).map(({ table }) => table);
  return [...new Set([...family.rules.map((rule) => rule.table), ...owned])];
}

function ownedChainsOf(table: Table, family: FamilyRules): readonly string[] {
  return (family.ownedChains ?? []).flatMap((one) => (one.table === table ? [one.chain] : []));
}

function rulesOf(table: Table, family: FamilyRules): readonly RedirectRule[] {
  return family.rules.filter((rule) => rule.table === table);
}

function isPlain(value: string): boolean {
  return value !== '' && !/[\s"'\\]/.test(value);
}

function quote(value: string): string {
  return `"${value.replace(/["\\]/g, (character) => `\\${character}`)}"`;
}
