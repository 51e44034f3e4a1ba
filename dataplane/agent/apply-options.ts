import type { Family } from '../redirect/rule.ts';
import type { NftPrints } from './nft-prints.ts';
import type { RuleClones } from './rule-clones.ts';
import type { RulesPlace } from './rules-in-netns.ts';

/** Moments of a change, told in this order (those that happen) for logs and tests. */
export type ApplyStep =
  | 'guardrails-up'
  | 'deleted'
  | 'applied'
  | 'guardrails-down'
  | 'leftovers-removed'
  | 'routing-added'
  | 'routing-removed';

export interface ApplyOptions extends RulesPlace {
  /** Block the netns while rules are swapped; right in pods, never on a node. */
  readonly guardrails: boolean;
  /** The netns was made just now: nobody has put any rule in, and nobody looks for one. */
  readonly isFresh?: boolean;
  /** Told of each step; family `inet` is nftables. */
  readonly observe?: (step: ApplyStep, family: Family | 'inet') => void | Promise<void>;
  /** How nft prints rule sets, for those who apply many. */
  readonly prints?: NftPrints;
  /** Rule sets that netns without any rules get without a process, for those who apply many. */
  readonly clones?: RuleClones;
}

/** `applied`: nothing of ours was there; `repaired`: something of ours was there, and wrong. */
export type ApplyResult = 'unchanged' | 'applied' | 'repaired';
