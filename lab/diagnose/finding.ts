import type { FaultName } from '../../topologies/fault-names.ts';

/** Causes that have a name: those of `break`, and what else may be seen. */
export type Cause = FaultName | 'agent-gone' | 'other-than-planned' | 'rules-left-over';

/** One thing that is wrong, how it is known, and what mends it. */
export interface Finding {
  readonly cause: Cause;
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
