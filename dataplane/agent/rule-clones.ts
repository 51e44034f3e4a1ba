import { NetlinkSocket } from '../kernel/netlink.ts';
import { closeNetns, createNetns } from '../kernel/netns.ts';
import { dumpNftRuleset, sendNftBatch, toNftBatch, type NftBatch } from '../kernel/nft-batch.ts';
import { readSmallFiles } from '../kernel/small-files.ts';
import type { RuleSet } from '../redirect/rule.ts';
import type { ApplyOptions } from './apply-options.ts';

/** What makes a fresh netns have a rule set, and how the kernel shows it then. */
export interface RuleClone {
  readonly batches: readonly NftBatch[];
  readonly dump: Buffer;
}

/** Applies a rule set by the programs of the machine and reads it back. */
export type ApplyByPrograms = (rules: RuleSet, options: ApplyOptions) => Promise<unknown>;

/** Lists of legacy tables that were ever used in a netns; reading them makes none. */
const LEGACY_TABLES = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'];

/**
 * Rule sets as the programs of the machine put them in: each is applied once in a namespace of its
 * own, by the real programs and read back by them, while what they tell the kernel is written down.
 * A netns without any rules then gets the very same messages, in one exchange and without a
 * process, and what the kernel holds is compared with what it holds in the first one. All who ask
 * must use the same programs.
 */
export class RuleClones {
  readonly #apply: ApplyByPrograms;
  readonly #clones = new Map<string, Promise<RuleClone | undefined>>();
  /** The same by the set itself, for those who ask with one set again and again. */
  readonly #known = new WeakMap<RuleSet, Promise<RuleClone | undefined>>();

  constructor(apply: ApplyByPrograms) {
    this.#apply = apply;
  }

  /**
   * Makes `netns` have the chains and rules of the set, if it has no rules of anybody yet and the
   * set can be cloned at all (legacy iptables tells the kernel by other means).
   * @returns whether the rules are in and read back; if not, the programs must do it
   */
  async clone(rules: RuleSet, options: ApplyOptions): Promise<boolean> {
    const { netns } = options;
    if (netns === undefined) return false;
    using socket = new NetlinkSocket({ protocol: 'netfilter', netns });
    if (!isPristine(socket, netns)) return false;
    const clone = await this.#of(rules, options.programs);
    if (clone === undefined) return false;
    try {
      for (const batch of clone.batches) sendNftBatch(socket, batch);
      return dumpNftRuleset(socket).equals(clone.dump);
    } catch {
      // Somebody else was here at the same time, or this netns is another: the programs will say.
      return false;
    }
  }

  /** Makes ready what the first pod would wait for. */
  prepare(rules: RuleSet, programs: ApplyOptions['programs']): void {
    void this.#of(rules, programs);
  }

  #of(rules: RuleSet, programs: ApplyOptions['programs']): Promise<RuleClone | undefined> {
    const { families, nft } = rules;
    const known = this.#known.get(rules);
    if (known !== undefined) return known;
    const key = JSON.stringify([families, nft]);
    // A failure is told by the programs, in the pod's own netns.
    const made =
      this.#clones.get(key) ??
      this.#make({ ...rules, routing: [] }, programs).catch(() => undefined);
    this.#clones.set(key, made);
    this.#known.set(rules, made);
    return made;
  }

  async #make(rules: RuleSet, programs: ApplyOptions['programs']): Promise<RuleClone | undefined> {
    const netns = createNetns();
    try {
      const batches: NftBatch[] = [];
      const tap = (batch: Buffer): void => void batches.push(toNftBatch(batch));
      await this.#apply(rules, { netns, programs, guardrails: false, tap, isFresh: true });
      using socket = new NetlinkSocket({ protocol: 'netfilter', netns });
      const dump = dumpNftRuleset(socket);
      return dump.length > 0 && batches.length > 0 ? { batches, dump } : undefined;
    } finally {
      closeNetns(netns);
    }
  }
}

/** Whether nobody has put any rule or table into a netns, by any mechanism. */
function isPristine(socket: NetlinkSocket, netns: number): boolean {
  try {
    if (dumpNftRuleset(socket).length > 0) return false;
  } catch {
    return false;
  }
  return readSmallFiles(netns, LEGACY_TABLES).every((text = '') => text.trim() === '');
}
