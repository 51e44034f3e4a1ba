import type { NftListedChain, NftListedTable, NftListing } from '../nft-listing.ts';
import { NFT_FAMILY, NFT_TABLE_PREFIX, type NftTable } from '../nft-rule.ts';
import { alignChain, outOfOrder } from './align.ts';
import type { RuleSetOption } from './candidate.ts';
import type { Difference } from './differences.ts';
import { canonicalNftRule } from './nft-canonical.ts';
import { type NftCandidate, nftCandidates } from './nft-candidates.ts';

/** Rules of iptables that a listing of nftables shows in its own words. */
export interface ShownIptables {
  readonly table: string;
  readonly chains: readonly string[];
  /** Whose rules have chains of these names; absent: nothing of Istio's. */
  readonly names?: string;
}

/** What a listing of nftables is. */
export interface NftRecognition {
  readonly kind: 'known' | 'unknown' | 'none';
  readonly candidate?: NftCandidate;
  readonly options: readonly RuleSetOption[];
  readonly differences: readonly Difference[];
  /** Tables of others, with how many rules they have. */
  readonly others: readonly { readonly table: string; readonly rules: number }[];
  readonly iptables: readonly ShownIptables[];
  /** Reasons by table, chain and the rule's text in the listing. */
  readonly reasons: ReadonlyMap<string, string>;
}

interface Compared {
  readonly candidate: NftCandidate;
  readonly differences: readonly Difference[];
  readonly same: number;
  readonly reasons: ReadonlyMap<string, string>;
  readonly distance: number;
}

/** Says which rule set of Istio's a listing is, with what options, and what is wrong in it. */
export function recogniseNft(listing: NftListing): NftRecognition {
  const ours = listing.tables.filter(isOurs);
  const shown = listing.tables.flatMap(shownIptables);
  const others = listing.tables
    .filter((table) => !isOurs(table) && !isOfIptables(table))
    .map(({ family, name, chains }) => ({
      table: `${family} ${name}`,
      rules: chains.reduce((sum, { rules }) => sum + rules.length, 0),
    }));
  const rest = { others, iptables: shown };
  if (ours.length === 0) {
    const none = { options: [], differences: [], reasons: new Map(), ...rest };
    return { kind: 'none', ...none };
  }
  const best = nftCandidates(listing)
    .map((candidate) => compare(candidate, ours))
    .reduce((a, b) => (b.distance < a.distance ? b : a));
  const wished = best.candidate.tables.reduce((sum, { rules }) => sum + rules.length, 0);
  if (best.same < wished / 3) {
    return { kind: 'unknown', options: [], differences: [], reasons: new Map(), ...rest };
  }
  const { candidate, differences, reasons } = best;
  return { kind: 'known', candidate, options: candidate.options, differences, reasons, ...rest };
}

function isOurs({ family, name }: NftListedTable): boolean {
  return family === NFT_FAMILY && name.startsWith(NFT_TABLE_PREFIX);
}

const TABLES_OF_IPTABLES = new Set(['raw', 'mangle', 'nat', 'filter', 'security']);

function isOfIptables({ family, name }: NftListedTable): boolean {
  return (family === 'ip' || family === 'ip6') && TABLES_OF_IPTABLES.has(name);
}

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^ISTIO_PRERT$/, 'in-pod redirect of ambient by iptables'],
  [/^ISTIO_POSTRT$/, 'the node of in-pod redirect by iptables'],
  [/^ztunnel-/, 'node-level redirect of ambient (1.18 – 1.20)'],
];

function shownIptables(table: NftListedTable): readonly ShownIptables[] {
  if (!isOfIptables(table)) return [];
  const chains = table.chains.map(({ name }) => name);
  const isSidecar = chains.some((name) => /^ISTIO_(?:INBOUND|IN_REDIRECT|REDIRECT)$/.test(name));
  const known = NAMES.find(([pattern]) => chains.some((name) => pattern.test(name)))?.[1];
  const texts = table.chains.flatMap(({ rules }) => rules.map(({ normal }) => normal));
  const names = isSidecar ? 'a sidecar (istio-init or istio-cni)' : modeOf(known, texts);
  const place = { table: `${table.family} ${table.name}`, chains };
  return [names === undefined ? place : { ...place, names }];
}

/** The target tells one in-pod era from the other, in whichever words. */
function modeOf(name: string | undefined, texts: readonly string[]): string | undefined {
  if (name === undefined || !name.startsWith('in-pod')) return name;
  if (texts.some((text) => /\btproxy\b/i.test(text))) return `${name}, TPROXY (1.21 – 1.23)`;
  return texts.some((text) => /redirect to :15006|xt target "?REDIRECT/.test(text))
    ? `${name}, REDIRECT (1.24 →)`
    : name;
}

interface Line {
  readonly chain: string;
  readonly text: string;
  readonly shown: string;
  readonly line?: number;
  readonly why?: string;
}

/** Hooks count as the first line of their chain. */
function linesOfListed({ chains }: NftListedTable): readonly Line[] {
  return chains.flatMap((chain) => [
    ...hookOf(chain),
    ...chain.rules.map(({ normal, line }) => {
      return { chain: chain.name, text: canonicalNftRule(normal), shown: normal, line };
    }),
  ]);
}

function hookOf({ name: chain, base, line }: NftListedChain): readonly Line[] {
  if (base === undefined) return [];
  const text = `type ${base.type} hook ${base.hook} priority ${base.priority}`;
  return [{ chain, text, shown: text, line }];
}

function linesOfWished({ chains, rules }: NftTable): readonly Line[] {
  const why = 'The chain is run at this place of the kernel, in this order among others.';
  const hooks = chains.flatMap(({ name: chain, base }): readonly Line[] => {
    if (base === undefined) return [];
    const text = `type ${base.type} hook ${base.hook} priority ${base.priority}`;
    return [{ chain, text, shown: text, why }];
  });
  const lines = rules.map(({ chain, statements, why: reason }) => {
    const shown = statements.join(' ');
    return { chain, text: canonicalNftRule(shown), shown, why: reason };
  });
  return [...hooks, ...lines];
}

function compare(candidate: NftCandidate, found: readonly NftListedTable[]): Compared {
  const differences: Difference[] = [];
  const reasons = new Map<string, string>();
  let same = 0;
  const names = new Set([
    ...candidate.tables.map(({ name }) => name),
    ...found.map(({ name }) => name),
  ]);
  for (const table of names) {
    const wished = candidate.tables.find(({ name }) => name === table);
    const listed = found.find(({ name }) => name === table);
    const left = wished === undefined ? [] : linesOfWished(wished);
    const right = listed === undefined ? [] : linesOfListed(listed);
    for (const chain of new Set([...left, ...right].map((line) => line.chain))) {
      const of = (lines: readonly Line[]) => lines.filter((line) => line.chain === chain);
      const part = compareChain(table, of(left), of(right));
      differences.push(...part.differences);
      same += part.same;
      for (const [rule, why] of part.reasons) reasons.set(`${table} ${chain} ${rule}`, why);
    }
  }
  const weight = ({ kind }: Difference): number => (kind === 'altered' ? 0.6 : 1);
  const distance = differences.reduce((sum, difference) => sum + weight(difference), 0);
  return { candidate, differences, same, reasons, distance };
}

interface ComparedChain {
  readonly differences: readonly Difference[];
  readonly same: number;
  readonly reasons: readonly (readonly [rule: string, why: string])[];
}

function compareChain(table: string, left: readonly Line[], right: readonly Line[]): ComparedChain {
  const numbered = (lines: readonly Line[]) =>
    lines.map(({ text }, index): readonly [number, string] => [index, text]);
  const { same, altered, missing, extra } = alignChain(numbered(left), numbered(right));
  const matched = [...same, ...altered].sort((a, b) => a[1] - b[1]);
  const moved = outOfOrder(matched.map(([index]) => index)).map((at) => matched[at]);
  const known = new Set(left.map(({ text }) => text));
  const wish = (index: number): Line => left[index] as Line;
  const seen = (index: number): Pick<Difference, 'table' | 'chain' | 'text' | 'line'> => {
    const { chain, shown, line } = right[index] as Line;
    return { table, chain, text: shown, ...(line === undefined ? {} : { line }) };
  };
  const why = (index: number) => ({ why: wish(index).why ?? '' });
  return {
    same: same.length,
    reasons: [...same, ...altered].map(([a, b]) => [(right[b] as Line).shown, wish(a).why ?? '']),
    differences: [
      ...missing.map((index): Difference => {
        const { chain, shown } = wish(index);
        return { kind: 'missing', table, chain, text: shown, ...why(index) };
      }),
      ...altered.map(([a, b]): Difference => {
        return { kind: 'altered', ...seen(b), wished: wish(a).shown, ...why(a) };
      }),
      ...moved.flatMap((pair): readonly Difference[] => {
        if (pair === undefined) return [];
        const wished = `rule ${ruleNumber(left, pair[0])} of this chain`;
        return [{ kind: 'order', ...seen(pair[1]), wished, ...why(pair[0]) }];
      }),
      ...extra.map((index): Difference => {
        const isTwice = known.has((right[index] as Line).text);
        return { kind: isTwice ? 'duplicated' : 'foreign', ...seen(index) };
      }),
    ],
  };
}

/** Hooks are no rules: they are not counted. */
function ruleNumber(lines: readonly Line[], index: number): number {
  const hooks = lines.slice(0, index).filter(({ text }) => text.startsWith('type ')).length;
  return index - hooks + 1;
}
