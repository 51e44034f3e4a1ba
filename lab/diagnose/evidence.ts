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
  /** Rules of NetworkPolicy objects with what the kernel has counted at them, probes included. */
  readonly policies: readonly CountedRule[];
  /** Settings and counters of the node's own namespace, and of its ztunnel's. */
  readonly own: Readings;
  readonly ofZtunnel: Readings;
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
  /** What it says of each pod: `Up` or `Pending`, by uid; absent when it does not answer. */
  readonly workloads?: Readonly<Record<string, string>>;
}

export interface PodEvidence {
  readonly pod: PodPlan;
  /** Whether its labels ask for the mesh. */
  readonly isWished: boolean;
  readonly rules: RulesReading;
  readonly listeners: readonly Listener[];
  /** Inode of its network namespace. */
  readonly netns: number;
  readonly settings: Readonly<Record<string, string>>;
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

export interface Readings {
  /** Kernel settings by key, as `sysctl` writes them. */
  readonly settings: Readonly<Record<string, string>>;
  /** Packets that the reverse path filter has dropped (TcpExtIPReversePathFilter). */
  readonly reversePathDrops: number;
}

export type ConnectOutcome = 'connected' | 'refused' | 'timeout' | 'unreachable';

/** SYNs to an enrolled pod, sent with ztunnel's mark out of another enrolled pod. */
export interface HboneProbe {
  readonly from: string;
  readonly to: string;
  /** uid of the pod that is asked. */
  readonly toUid: string;
  readonly address: string;
  /** What became of the SYN to port 15008. */
  readonly hbone: ConnectOutcome;
  /** The same for the port of an app of the pod; absent when it has none, or 15008 answers. */
  readonly app?: { readonly port: number; readonly outcome: ConnectOutcome };
  readonly patienceMs: number;
}

/** What fits through the path between pods of two nodes, by pings that may not be cut. */
export interface PathProbe {
  readonly from: string;
  readonly to: string;
  /** MTU of the link of the pod that sends. */
  readonly linkMtuBytes: number;
  /** The largest packet that was answered; absent when not even a small one was. */
  readonly passesBytes?: number;
  /** Whether the sender was told of a smaller one (ICMP); else packets vanish. */
  readonly isTold: boolean;
}
