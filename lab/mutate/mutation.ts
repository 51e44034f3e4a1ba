import type { Lab } from '../world/lab.ts';

/** What is taken away or changed: `whole` is everything of one sort at once. */
export type MutationKind =
  'rule' | 'policy-rule' | 'route' | 'address-set' | 'link' | 'sysctl' | 'whole';

/** One thing that is taken away or changed, everywhere it stands. */
export interface Mutation {
  /** Stable from run to run: what is changed, and how. */
  readonly id: string;
  readonly kind: MutationKind;
  /** `removed`, `without ! -d 127.0.0.1/32`, `behind the main table`, `= 1`. */
  readonly change: string;
  /** `nat ISTIO_OUTPUT`, `ip rule`, `sysctl`. */
  readonly where: string;
  /** The rule, route or key. */
  readonly text: string;
  /** Why it is there, as the era's data say. */
  readonly why?: string;
  readonly places: readonly string[];
  apply(lab: Lab): Promise<void>;
  /** Puts back what `apply` changed; harmless when nothing was. */
  restore(lab: Lab): Promise<void>;
}
