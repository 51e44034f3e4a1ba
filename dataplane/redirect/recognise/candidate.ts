import type { Era } from '../era.ts';
import type { Family, FamilyRules, RoutingEntry } from '../rule.ts';

/** Whose rules they are and where they stand. */
export type SetKind =
  | { readonly kind: 'pod'; readonly era: Era }
  | { readonly kind: 'node'; readonly era: Era | 'in-pod' }
  | { readonly kind: 'ztunnel-pod'; readonly era: Era }
  | { readonly kind: 'sidecar' };

/** A choice that an installation or a pod may make, as the rules show it. */
export interface RuleSetOption {
  readonly name: string;
  readonly value: string;
}

/**
 * A value that stands in several rules and may differ from cluster to cluster. `free`: everybody may
 * choose it (address, interface name); otherwise Istio has one value, and another is a deviation.
 */
export interface Parameter {
  readonly token: string;
  readonly name: string;
  readonly isFree: boolean;
}

/** One rule set that Istio writes, to compare a saved one with. */
export interface Candidate {
  readonly set: SetKind;
  /** What a reader calls it: `in-pod REDIRECT, an enrolled pod`. */
  readonly title: string;
  readonly releases: string;
  readonly options: readonly RuleSetOption[];
  readonly rules: FamilyRules;
  readonly parameters: readonly Parameter[];
  /** Rules and routes that go with them and stand in no iptables-save. */
  readonly routing: readonly RoutingEntry[];
}

/** `0x539/0xfff` and the like: one value of Istio's in every rule that has it. */
export function fixed(token: string, name: string): Parameter {
  return { token, name, isFree: false };
}

/** A value that installations choose. */
export function free(token: string, name: string): Parameter {
  return { token, name, isFree: true };
}

/** Spelling of an address in the rules of the family. */
export function hostPrefix(address: string, family: Family): string {
  return `${address}/${family === 'ipv4' ? 32 : 128}`;
}
