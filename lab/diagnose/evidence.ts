import type { AgentStatus } from '../../dataplane/agent/api.ts';
import type { NodePlan, Plan, PodPlan } from '../plan/plan.ts';
import type { CountedRule } from '../policy/read-back.ts';
import type { RulesReading } from '../run/read-rules.ts';

/** What was read of a running lab, from its kernel, its sockets and its programs. */
export interface Evidence {
  readonly plan: Plan;
  readonly nodes: readonly NodeEvidence[];
  readonly pods: readonly PodEvidence[];
  readonly probes: readonly HboneProbe[];
  readonly paths: readonly PathProbe[];
  /** What differs from how the lab was built, one sentence each. */
  readonly drift: readonly string[];
}

export interface NodeEvidence {
  readonly node: NodePlan;
  readonly agent: AgentEvidence;
  readonly ztunnel: ZtunnelEvidence;
  readonly rules: RulesReading;
  /** Rules of NetworkPolicy objects with what the kernel has counted at them. */
  readonly policies: readonly CountedRule[];
  readonly settings: Settings;
  readonly ztunnelSettings: Settings;
}

/** A program of the lab, by its entry in /proc. */
export interface ProgramEvidence {
  /** Pid inside the lab; absent when it does not run. */
  readonly pid?: number;
  /** Letter of its state, as ps prints it: `S` sleeps, `T` is stopped. */
  readonly state?: string;
  /** How it ended, when it did. */
  readonly end?: string;
}

export interface AgentEvidence extends ProgramEvidence {
  /** What it says of itself; absent when it did not answer. */
  readonly status?: AgentStatus;
  /** Why there is no answer. */
  readonly silence?: string;
}

export interface ZtunnelEvidence extends ProgramEvidence {
  /** Inodes of the network namespaces that it holds descriptors of. */
  readonly netns: readonly number[];
  /** Last lines of its log that are warnings or errors. */
  readonly complaints: readonly string[];
}

export interface PodEvidence {
  readonly pod: PodPlan;
  /** Whether its labels ask for the mesh. */
  readonly isWished: boolean;
  readonly rules: RulesReading;
  readonly listeners: readonly Listener[];
  /** Inode of its network namespace. */
  readonly netns: number;
  readonly settings: Settings;
}

/** A line of `ss -ltnpe`. */
export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Pid inside the lab of the program that holds it; the first of several. */
  readonly pid?: number;
  readonly program?: string;
  readonly line: string;
}

/** Kernel settings by key, as `sysctl` writes them. */
export type Settings = Readonly<Record<string, string>>;

/** A SYN to port 15008 of a pod, sent with ztunnel's mark from another enrolled pod. */
export interface HboneProbe {
  readonly from: string;
  readonly to: string;
  readonly toUid: string;
  readonly address: string;
  readonly outcome: 'connected' | 'refused' | 'timeout' | 'unreachable';
}

/** What fits through the path between two pods of different nodes, by pings that may not be cut. */
export interface PathProbe {
  readonly from: string;
  readonly to: string;
  readonly fromNode: string;
  readonly toNode: string;
  /** MTU of the link of the pod that sends. */
  readonly linkMtuBytes: number;
  /** The largest packet that was answered; absent when not even a small one was. */
  readonly passesBytes?: number;
  /** Whether anybody said that a packet was too big (ICMP); otherwise they vanish. */
  readonly isTold: boolean;
}
