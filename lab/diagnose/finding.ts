import type { CauseName } from '../../topologies/fault-names.ts';

/** One thing that is wrong, how it is known, and what mends it. */
export interface Finding {
  readonly cause: CauseName;
  /** Pod (`demo/sleep`) or node. */
  readonly at: string;
  /** What is wrong, in one sentence. */
  readonly text: string;
  /** What people see of it. */
  readonly effect: string;
  /** What was read: lines of the kernel's and the programs' own output, and what they mean. */
  readonly evidence: readonly string[];
  readonly mend: string;
}
