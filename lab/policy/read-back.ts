import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { renderSavedRule } from '../../dataplane/redirect/saved.ts';
import type { PresentPolicies } from './render-iptables.ts';
import { POLICY_CHAIN_PREFIX, type NodePolicies } from './rule.ts';

/** A rule as the kernel has it. */
export interface SeenRule {
  readonly chain: string;
  /** As the kernel spells it, without counters: what comparisons are made of. */
  readonly text: string;
  readonly packets: number;
  readonly bytes: number;
}

/** Rules of the policies in a text of `iptables-save -c`, jumps to them included. */
export function readIptables(saved: string): readonly SeenRule[] {
  const filter = parseSave(saved).tables.find(({ name }) => name === 'filter');
  return (filter?.rules ?? [])
    .map((rule) => ({
      chain: rule.chain,
      text: renderSavedRule(rule),
      packets: Number(rule.counters?.packets ?? 0),
      bytes: Number(rule.counters?.bytes ?? 0),
    }))
    .filter(({ chain, text }) => isOurs(chain) || jumpOf(text) !== undefined);
}

/** What of the policies is there, so that it can be replaced. */
export function presentIn(saved: string): PresentPolicies {
  const filter = parseSave(saved).tables.find(({ name }) => name === 'filter');
  const jumps = readIptables(saved)
    .filter(({ chain }) => !isOurs(chain))
    .flatMap(({ text }) => jumpOf(text) ?? []);
  return {
    chains: (filter?.chains ?? []).map(({ name }) => name).filter(isOurs),
    jumps: [...new Set(jumps)],
  };
}

function isOurs(chain: string): boolean {
  return chain.startsWith(POLICY_CHAIN_PREFIX);
}

function jumpOf(text: string): string | undefined {
  return /-j (NP-[\w.-]+)/.exec(text)?.[1];
}

/** A part of `nft --json list table`, as far as it is read. */
interface NftListing {
  readonly nftables: readonly {
    readonly rule?: {
      readonly chain: string;
      readonly comment?: string;
      readonly expr: readonly Readonly<Record<string, unknown>>[];
    };
  }[];
}

/** Rules of the policies in the JSON of `nft --json list table inet network-policy`. */
export function readNft(json: string): readonly SeenRule[] {
  if (json.trim() === '') return [];
  const { nftables } = JSON.parse(json) as NftListing;
  return nftables.flatMap(({ rule }): SeenRule[] => {
    if (rule === undefined) return [];
    const counter = rule.expr.find((each) => 'counter' in each)?.['counter'];
    const { packets = 0, bytes = 0 } = (counter ?? {}) as { packets?: number; bytes?: number };
    const rest = rule.expr.filter((each) => !('counter' in each));
    return [{ chain: rule.chain, text: textOf(rest, rule.comment), packets, bytes }];
  });
}

function textOf(expressions: readonly unknown[], comment: string | undefined): string {
  const words = expressions.map((each) => JSON.stringify(each)).join(' ');
  return comment === undefined ? words : `${words} # ${comment}`;
}

/** Rules that differ, chain by chain in order, one sentence each; empty when equal. */
export function differingPolicies(
  wanted: readonly SeenRule[],
  seen: readonly SeenRule[],
): readonly string[] {
  const chains = [...new Set([...wanted, ...seen].map(({ chain }) => chain))];
  return chains.flatMap((chain) => {
    const texts = (rules: readonly SeenRule[]): string[] =>
      rules.filter((rule) => rule.chain === chain).map(({ text }) => text);
    const [wish, sight] = [texts(wanted), texts(seen)];
    if (wish.join('\n') === sight.join('\n')) return [];
    const missing = wish.filter((text) => !sight.includes(text));
    const strange = sight.filter((text) => !wish.includes(text));
    return [
      ...missing.map((text) => `policy rule ${chain} ${text} is missing`),
      ...strange.map((text) => `policy rule ${chain} ${text} is not wanted`),
      ...(missing.length + strange.length > 0 ? [] : [`policy rules of ${chain} are out of order`]),
    ];
  });
}

/** A wanted rule with what the kernel has counted at it. */
export interface CountedRule {
  readonly chain: string;
  readonly label: string;
  readonly why: string;
  readonly text: string;
  readonly packets: number;
  readonly bytes: number;
}

/** Wanted rules beside the kernel's, by their place in their chain; only where both agree. */
export function countPolicies(
  rules: NodePolicies['rules'],
  seen: readonly SeenRule[],
): readonly CountedRule[] {
  const next = new Map<string, number>();
  return rules.flatMap(({ chain, label, why }) => {
    const index = next.get(chain) ?? 0;
    next.set(chain, index + 1);
    const found = seen.filter((rule) => rule.chain === chain)[index];
    return found === undefined ? [] : [{ ...found, label, why }];
  });
}
