import { isIP } from 'node:net';
import type { AddressSet, RuleSet } from '../redirect/rule.ts';
import { createSet, destroySet, listMembers, removeMembers, upsertMembers } from './address-set.ts';
import type { ApplyResult } from './apply-options.ts';
import { applyRules, removeRules } from './apply-rules.ts';
import { Gathered } from './gathered.ts';
import { NftPrints } from './nft-prints.ts';
import type { RulesPlace } from './rules-in-netns.ts';
import type { SetMember } from './set-member.ts';

/** A pod whose probes need the detour. */
export interface ProbedPod {
  readonly uid: string;
  readonly ips: readonly string[];
}

/**
 * The node's part of the redirect: the SNAT rule for probes and the set of enrolled pods that it
 * matches, in the node's netns. No guardrails here: they would cut off the node.
 */
export class HostSide {
  readonly #rules: RuleSet;
  readonly #place: RulesPlace;
  readonly #prints = new NftPrints();
  /** Pods that come together go into a set together: with nft each change takes a process. */
  readonly #additions = new Map<AddressSet, Gathered<SetMember>>();

  constructor(rules: RuleSet, place: RulesPlace = {}) {
    this.#rules = rules;
    this.#place = place;
  }

  /** Sets are there and empty, rules are in. @throws {ProgramError} {@link RulesMismatchError} */
  async start(): Promise<void> {
    for (const set of this.#rules.sets) await createSet(this.#place, set);
    await this.#apply();
  }

  /** The pod's addresses are in the set, as this pod's. */
  async add(pod: ProbedPod): Promise<void> {
    await this.#eachSet(pod, (_, set, members) => this.#additionsTo(set).add(members));
  }

  /** The pod's addresses are out of the set, unless another pod has them now. */
  async remove(pod: ProbedPod): Promise<void> {
    await this.#eachSet(pod, removeMembers);
  }

  /** Rules and members are what they should be. */
  async reconcile(pods: readonly ProbedPod[]): Promise<ApplyResult> {
    let isChanged = false;
    for (const set of this.#rules.sets) {
      const wanted = pods.flatMap((pod) => membersOf(pod, set.family));
      const present = await listMembers(this.#place, set);
      const key = (member: { address: string; uid: string }) => `${member.address} ${member.uid}`;
      const missing = wanted.filter((one) => !present.some((other) => key(other) === key(one)));
      const stale = present.filter((one) => !wanted.some((other) => other.address === one.address));
      await upsertMembers(this.#place, set, missing);
      await removeMembers(this.#place, set, stale);
      isChanged ||= missing.length + stale.length > 0;
    }
    const result = await this.#apply();
    return isChanged && result === 'unchanged' ? 'repaired' : result;
  }

  /** Rules and sets are gone. */
  async stop(): Promise<void> {
    await removeRules(this.#rules, this.#place);
    for (const set of this.#rules.sets) await destroySet(this.#place, set);
  }

  #apply(): Promise<ApplyResult> {
    const prints = this.#prints;
    return applyRules(this.#rules, { ...this.#place, guardrails: false, prints });
  }

  #additionsTo(set: AddressSet): Gathered<SetMember> {
    const known = this.#additions.get(set);
    if (known !== undefined) return known;
    const made = new Gathered<SetMember>((members) => upsertMembers(this.#place, set, members));
    this.#additions.set(set, made);
    return made;
  }

  async #eachSet(pod: ProbedPod, change: typeof upsertMembers): Promise<void> {
    for (const set of this.#rules.sets) {
      const members = membersOf(pod, set.family);
      if (members.length > 0) await change(this.#place, set, members);
    }
  }
}

function membersOf(pod: ProbedPod, family: 'ipv4' | 'ipv6') {
  return pod.ips
    .filter((ip) => isIP(ip) === (family === 'ipv4' ? 4 : 6))
    .map((address) => ({ address, uid: pod.uid }));
}
