import type { StdioOptions } from 'node:child_process';
import type { RequestResult } from '../facts/request.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import type { NodeAddresses, Plan } from '../plan/plan.ts';
import type { CountedRule } from '../policy/read-back.ts';
import type { ScenarioRequest } from '../../topologies/topology.ts';
import type { Recording } from '../capture/layout.ts';

/**
 * The third state of a world (Topology → Plan → World), as a client holds it: a connection to the
 * supervisor that owns everything. Disposing takes the lab down when this client owns it
 * (`createLab` without `detached`) and only lets go of it otherwise.
 */
export interface Lab extends AsyncDisposable {
  readonly name: string;
  readonly plan: Plan;
  /** The lab's directory on the machine: lock, control socket, plan, log, key log, leg log. */
  readonly directory: string;
  /** Pid of the lab's PID 1 as this process's PID namespace counts; told by the kernel. */
  readonly supervisorPid: number;
  status(): Promise<LabStatus>;
  /**
   * Runs a program in the namespaces of a pod, a node, `outside` or `ztunnel-<node>`, with the
   * resolv.conf of that place. Resolves to its exit code (128 + n for signal n); 125–127 are ours:
   * could not enter, not executable, not found.
   */
  exec(target: string, argv: readonly string[], options?: ExecOptions): Promise<number>;
  /** The argv that `exec` starts, for whoever wants to start it otherwise. */
  execArgv(
    target: string,
    argv: readonly string[],
    options?: ExecOptions,
  ): readonly [string, ...string[]];
  /** Puts a running pod into the mesh: afterwards both ends of new connections know of it. */
  enrol(pod: string): Promise<EnrolResult>;
  leave(pod: string): Promise<EnrolResult>;
  /** Adds, replaces or takes away a NetworkPolicy, or labels a pod; enforced when it resolves. */
  changePolicies(change: PolicyChange): Promise<void>;
  /**
   * Gives a running pod these labels and annotations instead of those it has: policies count them
   * from then on, a label that asks for the mesh or against it is followed.
   */
  changePod(change: PodChange): Promise<PodChanged>;
  /** Rules of the policies on a node, with reasons and counters. */
  policyRules(node: string): Promise<readonly CountedRule[]>;
  startCapture(directory: string, options?: CaptureStartOptions): Promise<void>;
  /** Ends the recording; the files named in `CAPTURE_FILES` are complete afterwards. */
  stopCapture(): Promise<Recording>;
  /** One request of the kind a scenario makes, once, whatever its `count`. */
  request(request: ScenarioRequest, options?: RequestOptions): Promise<RequestReport>;
  /** `kill` of a process by its place in the plan; for tests and for `restart`. */
  kill(process: ProcessKind, node: string, signal?: NodeJS.Signals): Promise<void>;
  /** Ends the process if it runs, starts it anew, and resolves when it is ready. */
  restart(process: ProcessKind, node: string): Promise<void>;
  /**
   * Starts a second ztunnel on a node beside the first, as a rolling update does; resolves when new
   * connections can go to it. The lab has to be planned with `spareZtunnels`.
   */
  surge(node: string): Promise<void>;
  /** Ends the older of a node's two ztunnels and resolves when it has let go of its connections. */
  retire(node: string): Promise<void>;
  /** Every sidecar's Envoy is started anew, with no connection of before. Nothing without sidecars. */
  renewSidecars(): Promise<void>;
  /** Every sidecar gets a new certificate, as it does at half of its life; open connections go on. */
  rotateSidecars(): Promise<void>;
  /** What the built-in apps saw, newest last; all of it, or what carried one canary. */
  observations(canary?: string): Promise<readonly AppObservation[]>;
  /** Rules, links and addresses of the running world against the plan; empty when equal. */
  drift(): Promise<readonly string[]>;
  /** Resolves when the supervisor has gone away, however it ended. */
  ended(): Promise<void>;
  /** Ends the lab and removes its directory. Resolves when the kernel has freed it. */
  down(): Promise<void>;
}

export type PolicyChange =
  | { readonly kind: 'apply'; readonly policy: NetworkPolicy }
  | { readonly kind: 'delete'; readonly namespace: string; readonly name: string }
  | {
      readonly kind: 'label';
      readonly pod: string;
      /** `null` takes a label away; others stay. */
      readonly labels: Readonly<Record<string, string | null>>;
    };

export interface PodChange {
  readonly pod: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface PodChanged {
  /** Empty when all was so already. */
  readonly changed: readonly ('labels' | 'annotations')[];
  /** What its labels made of it, when they asked for something else than before. */
  readonly mesh?: 'joined' | 'left';
}

export type ProcessKind = 'ztunnel' | 'agent' | 'app-host';

export interface CreateLabOptions {
  /** Leave the lab running when this process ends (`up`); else it dies with it, however it dies. */
  readonly detached?: boolean;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
  /** Command that is started as ztunnel instead of ours; gets the documented environment. */
  readonly ztunnel?: ProgramCommand;
  /** Do not start agents and ztunnels: a cluster without ambient. */
  readonly withoutMesh?: boolean;
  /**
   * Programs write down no TLS secrets and no leg records, sidecars no line a request (as Istio's
   * default profile has them): what a proxy costs where nobody proves anything.
   */
  readonly withoutEvidence?: boolean;
  readonly startTimeoutMs?: number;
}

/** A program as data: the seam through which a foreign ztunnel comes in. */
export interface ProgramCommand {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** One step of building, started or done; `ms` since the start of the build. */
export interface Progress {
  readonly step: ProgressStep;
  readonly state: 'started' | 'done';
  readonly text: string;
  readonly ms: number;
}

export type ProgressStep =
  | 'supervisor'
  | 'namespaces'
  | 'links'
  | 'rules'
  | 'processes'
  | 'sidecars'
  | 'enrol'
  | 'apps'
  | 'ready';

export interface ExecOptions {
  readonly stdio?: StdioOptions;
  readonly env?: Readonly<Record<string, string>>;
  /** Numeric user id the program runs as, its group the same; root unless given. */
  readonly user?: number;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

export interface CaptureStartOptions {
  /** Bytes kept of each frame; that of the plan unless given, 0 keeps all. */
  readonly snapLength?: number;
  /** Receive buffer of each interface; large enough to lose nothing unless given. */
  readonly bufferBytes?: number;
}

export interface RequestOptions {
  /** Name of the scenario, carried into the result; `from -> to` unless given. */
  readonly name?: string;
  readonly timeoutMs?: number;
  /** More arguments for curl (http only), e.g. `['--data', 'x']`. */
  readonly curl?: readonly string[];
}

/** A `RequestResult` and what only the client knows. */
export interface RequestReport extends RequestResult {
  /** Body of the answer, as text, at most 64 kB of it. */
  readonly body: string;
  readonly durationMs: number;
}

/** What an app of the app host saw of one request or connection. */
export interface AppObservation {
  /** uid of the pod. */
  readonly pod: string;
  readonly app: 'http' | 'tcp-echo' | 'udp-echo';
  readonly port: number;
  /** `ip:port` the app saw. */
  readonly peer: string;
  readonly local: string;
  readonly canary?: string;
  readonly path?: string;
  readonly timeNs: string;
}

export interface EnrolResult {
  readonly pod: string;
  readonly enrolled: boolean;
  /** False when it already was so. */
  readonly changed: boolean;
  /** True when it already was so and its redirect rules had drifted. */
  readonly repaired?: boolean;
}

export interface LabStatus {
  readonly name: string;
  readonly state: 'starting' | 'ready' | 'stopping';
  readonly topologyFile: string;
  readonly era: string;
  readonly startedNs: string;
  readonly nodes: readonly NodeStatus[];
  readonly pods: readonly PodStatus[];
  /** Machines inside pods; absent when there are none. */
  readonly guests?: readonly GuestStatus[];
  /** NetworkPolicy objects that are enforced, as `namespace/name`. */
  readonly networkPolicies: readonly string[];
  readonly processes: readonly ProcessStatus[];
  readonly capture?: { readonly directory: string; readonly startedNs: string };
}

export interface NodeStatus {
  readonly name: string;
  readonly address: string;
  readonly podRange: string;
  readonly ztunnelAddress: string;
  /** The same of the other family, in a lab of two. */
  readonly second?: NodeAddresses;
}

export interface GuestStatus {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly address: string;
  readonly secondAddress?: string;
  /** The pod's interface it lives behind. */
  readonly link: string;
}

export interface PodStatus {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly address: string;
  /** Of the other family, in a lab of two. */
  readonly secondAddress?: string;
  readonly netns: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly enrolled: boolean;
  readonly system: boolean;
  readonly apps: readonly string[];
}

export interface ProcessStatus {
  readonly kind: ProcessKind | 'recorder' | 'command' | 'envoy' | 'sidecar-agent';
  readonly name: string;
  readonly node: string;
  readonly netns: string;
  /** Within the lab's own PID namespace; absent when it does not run. */
  readonly pid?: number;
  readonly state: 'starting' | 'ready' | 'exited';
  readonly exit?: { readonly code: number | null; readonly signal: string | null };
  readonly startedNs: string;
}

/** A lab as found on the machine. `dead`: a directory whose lock nobody holds. */
export interface LabEntry {
  readonly name: string;
  readonly state: 'alive' | 'dead';
  readonly directory: string;
}
