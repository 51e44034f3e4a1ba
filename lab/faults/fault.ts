import type { FaultName } from '../../topologies/fault-names.ts';
import type { NodePlan, Plan, PodPlan } from '../plan/plan.ts';
import type { Lab, LabStatus } from '../world/lab.ts';

/** Where a fault is: a pod or a node of the lab. */
export type FaultPlace =
  | { readonly kind: 'pod'; readonly name: string; readonly pod: PodPlan }
  | { readonly kind: 'node'; readonly name: string; readonly node: NodePlan };

/** Data that mending needs, as JSON: what was before, names of what was made. */
export type Saved = Readonly<Record<string, unknown>>;

/** What a fault is asked to work on. `at` is of the kind that the fault names. */
export interface FaultContext<P extends FaultPlace = FaultPlace> {
  readonly lab: Lab;
  readonly at: P;
}

/** One thing that goes wrong in the field, made and taken back in a running lab. */
export interface Fault<P extends FaultPlace = FaultPlace> {
  readonly name: FaultName;
  readonly kind: P['kind'];
  /** What is wrong, in one line. */
  readonly title: string;
  /** What a person sees who does not know it. */
  readonly seen: string;
  /** How it comes about in clusters, with the reports of it. */
  readonly field: string;
  /** Why a lab cannot have it; nothing when it can. */
  refusal(plan: Plan): string | undefined;
  /** Whether it can be made here: the first place where it can is the one meant when none is named. */
  suits(at: P, status: LabStatus, plan: Plan): boolean;
  /** Reads what mending will need, before anything is changed. @throws when it cannot be made */
  prepare(context: FaultContext<P>): Promise<Saved>;
  apply(context: FaultContext<P>, saved: Saved): Promise<void>;
  /** All is as before; harmless when it is so already, or was changed half-way only. */
  mend(context: FaultContext<P>, saved: Saved): Promise<void>;
}

export type PodFault = Fault<Extract<FaultPlace, { kind: 'pod' }>>;
export type NodeFault = Fault<Extract<FaultPlace, { kind: 'node' }>>;
