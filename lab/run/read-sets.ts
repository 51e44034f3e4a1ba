import { parseSetMembers } from '../../dataplane/agent/address-set.ts';
import { parseNftMembers } from '../../dataplane/agent/nft-set.ts';
import type { SetMember } from '../../dataplane/agent/set-member.ts';
import type { AddressSet, Family } from '../../dataplane/redirect/rule.ts';
import { addressOf } from '../plan/families.ts';
import type { Plan } from '../plan/plan.ts';
import type { LabStatus } from '../world/lab.ts';

/** A member with the pod that its uid is of, where there is one. */
export interface NamedMember extends SetMember {
  readonly pod?: string;
}

/** A set of addresses on a node: what is in it, and what differs from what belongs there. */
export interface SetReading {
  readonly name: string;
  /** Absent: there is no such set. */
  readonly members?: readonly NamedMember[];
  readonly missing: readonly SetMember[];
  readonly extra: readonly SetMember[];
}

/** The command that prints a set, and the reader of what it prints. */
export function setCommand(set: AddressSet): readonly [string, ...string[]] {
  return set.table === undefined
    ? ['ipset', 'save', set.name]
    : ['nft', '-j', 'list', 'set', 'inet', set.table, set.name];
}

/**
 * Compares a set with the addresses of the node's enrolled pods.
 * @param text what {@link setCommand} printed; absent when it failed, as it does without the set
 */
export function readSet(
  set: AddressSet,
  text: string | undefined,
  wanted: readonly SetMember[],
): SetReading {
  if (text === undefined) return { name: set.name, missing: wanted, extra: [] };
  const members = set.table === undefined ? parseSetMembers(set.name, text) : parseNftMembers(text);
  const isIn = (list: readonly SetMember[]) => (one: SetMember) =>
    list.some((other) => other.address === one.address && other.uid === one.uid);
  return {
    name: set.name,
    members,
    missing: wanted.filter((one) => !isIn(members)(one)),
    extra: members.filter((one) => !isIn(wanted)(one)),
  };
}

/** Addresses that belong into the node's set of a family: those of its enrolled pods. */
export function probedPods(
  plan: Plan,
  status: LabStatus,
  node: string,
  family: Family = 'ipv4',
): readonly SetMember[] {
  const enrolled = new Set(status.pods.filter((pod) => pod.enrolled).map(({ uid }) => uid));
  return plan.pods
    .filter((pod) => pod.node === node && enrolled.has(pod.uid))
    .flatMap((pod) => {
      const address = addressOf(pod, family === 'ipv4' ? 'IPv4' : 'IPv6');
      return address === undefined ? [] : [{ address, uid: pod.uid }];
    });
}
