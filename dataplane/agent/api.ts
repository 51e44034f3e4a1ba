/**
 * What is said on the agent's plugin socket: HTTP/1.1 with JSON bodies over a Unix stream socket.
 *
 * | request | body | answer |
 * |---|---|---|
 * | `POST /cmdadd` | {@link CmdAdd} | 200 when the pod is enrolled or is none of the mesh's |
 * | `POST /cmdadd-all` | {@link CmdAdd}[] | 200 when that is so of all; the first failure otherwise |
 * | `POST /announce` | {@link PodRecord} | 200; what the API server knows of a pod, read by /cmdadd |
 * | `POST /announce-all` | {@link PodRecord}[] | 200; the same of many pods |
 * | `POST /enrol` | {@link EnrolRequest} | 200 {@link PodStatus} when rules are in and ztunnel acked |
 * | `POST /leave` | {@link LeaveRequest} | 200 when ztunnel let go and rules are out |
 * | `POST /ztunnel` | {@link ZtunnelReport} | 200; era geneve: a ztunnel pod of this node came, went, changed |
 * | `POST /reconcile` | none | 200 {@link ReconcileReport}: drift repaired |
 * | `GET /pods` | | 200 {@link PodStatus}[] |
 * | `GET /status` | | 200 {@link AgentStatus} |
 *
 * Failures are {@link ApiError}: 400 bad body, 404 unknown, 500 rules failed ("partial", no retry
 * helps), 503 ztunnel failed (retry).
 */
import type { TunnelKind } from '../tunnels/tunnel.ts';

/** Body of the CNI plugin's request: `cni/pkg/nodeagent/cni-watcher.go` (`CNIPluginAddEvent`). */
export interface CmdAdd {
  /** Path of the pod's network namespace. */
  readonly Netns: string;
  readonly PodName: string;
  readonly PodNamespace: string;
  /** Objects with an address in CIDR form, as go's `net.IPNet` in CNI results. */
  readonly IPs: readonly { readonly Address: { readonly IP: string; readonly Mask?: string } }[];
}

/** What the API server knows of a pod of this node. */
export interface PodRecord {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Whether the labels of pod and namespace ask for ambient. */
  readonly ambient: boolean;
  /** Annotations of the pod; the agent reads those of `facts/redirect.md` §2.5. */
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface EnrolRequest {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Path of the pod's network namespace, as this process sees it. */
  readonly netns: string;
  readonly ips: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** How long to wait for a ztunnel before failing retryably; 5,000 when absent. */
  readonly timeoutMs?: number;
}

export interface LeaveRequest {
  readonly uid: string;
  /** The pod is going away: its rules die with its netns and are not touched. */
  readonly deleted?: boolean;
}

/**
 * `enrolled`: rules in, ztunnel acked, host set filled. `pending`: rules in, ztunnel has not acked
 * (retryable; finished by the snapshot when a ztunnel connects). `failed`: rules did not go in.
 */
export type PodState = 'enrolling' | 'pending' | 'enrolled' | 'failed' | 'leaving';

export interface PodStatus {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly netns: string;
  readonly ips: readonly string[];
  readonly state: PodState;
  /** What the last look at the pod's rules did; absent before the first. */
  readonly rules?: 'unchanged' | 'applied' | 'repaired';
  readonly acked: boolean;
  /** What upstream writes as annotation ambient.istio.io/redirection. */
  readonly redirection?: 'enabled' | 'pending';
  readonly error?: ApiError;
}

export interface ApiError {
  readonly error: string;
  readonly code: string;
  readonly retryable: boolean;
}

/** What the API server knows of a ztunnel pod of this node; the newest that is ready is served. */
export interface ZtunnelReport {
  readonly uid: string;
  /** Path of its network namespace. */
  readonly netns: string;
  readonly address: string;
  /** When it was made, in milliseconds since 1970. */
  readonly createdMs: number;
  readonly ready: boolean;
  /** The pod is no more. */
  readonly gone?: boolean;
}

/** How the node-level redirect stands. */
export interface GeneveStatus {
  readonly release: string;
  /** How the tunnels are made. */
  readonly tunnels?: TunnelKind;
  readonly port?: number;
  /** uid of the ztunnel pod that the node redirects to. */
  readonly active?: string;
  readonly error?: ApiError;
}

export interface AgentStatus {
  readonly node: string;
  readonly era: string;
  readonly dnsCapture: boolean;
  readonly ipv6: boolean;
  readonly pid: number;
  readonly ztunnel: {
    readonly connected: boolean;
    readonly connections: readonly ZtunnelConnectionStatus[];
  };
  readonly pods: readonly PodStatus[];
  /** Era geneve only. */
  readonly geneve?: GeneveStatus;
}

export interface ZtunnelConnectionStatus {
  readonly id: number;
  /** `hello` is awaited, then the `snapshot` is sent, then the connection is `live`. */
  readonly phase: 'hello' | 'snapshot' | 'live';
  readonly acked: number;
}

export interface ReconcileReport {
  readonly pods: Readonly<Record<string, 'unchanged' | 'applied' | 'repaired' | 'failed'>>;
  readonly host: 'unchanged' | 'applied' | 'repaired' | 'failed';
  readonly errors: readonly ApiError[];
}
