import type { CniName, NetworkPolicyFlavour } from './cni.ts';
import type { EraName, IptablesName, ReleaseName } from './era.ts';
import type { CauseName, FaultName } from './fault-names.ts';
import type { IpFamily } from './ip.ts';
import type { NetworkPolicy } from './network-policy.ts';
import type { ProxyMetadata } from './proxy-metadata.ts';
import type { KubernetesObject } from './objects.ts';

/**
 * What a user wrote, validated and expanded: the first of the three states of a world
 * (Topology → Plan → World). Pure data; nothing in it has an address yet unless the user gave one.
 */
export interface Topology {
  /** File it was read from, for messages; `-` for standard input. */
  readonly file: string;
  readonly name: string;
  readonly era: EraName;
  /** Istio release that era geneve or inpod-tproxy follows; of no use in an era it is not of. */
  readonly release?: ReleaseName;
  /**
   * Whether ztunnel answers DNS for enrolled pods (the `dnsCapture` of the istio-cni chart). When
   * absent as Istio has it: not in era geneve, else yes.
   */
  readonly dnsCapture?: boolean;
  /** Backend of iptables on all nodes; whatever the machine uses when absent. */
  readonly iptables?: IptablesName;
  readonly cni: CniName;
  /** What enforces NetworkPolicy objects. */
  readonly networkPolicy: NetworkPolicyFlavour;
  /** Families of pods, nodes and services; the first is the one they have by default. */
  readonly ipFamilies: readonly IpFamily[];
  /** Metadata of every sidecar, before what a pod's own annotation says. */
  readonly proxyMetadata: ProxyMetadata;
  readonly nodes: readonly TopologyNode[];
  /** Every object, the short form already expanded, in file order. */
  readonly objects: readonly KubernetesObject[];
  /** L4 policies in the YAML form of ztunnel's own static file. */
  readonly policies: readonly StaticPolicy[];
  readonly capture: CaptureOptions;
  readonly scenarios: readonly Scenario[];
}

export interface TopologyNode {
  readonly name: string;
  /** CIDR of the node's pods, or one of each family; decided by the plan when absent. */
  readonly podRange?: string | readonly string[];
}

export interface CaptureOptions {
  /** Bytes kept of each frame; 0 keeps all. */
  readonly snapLength: number;
}

/** One policy of ztunnel's static file, as written there (facts: ztunnel YAML format). */
export interface StaticPolicy {
  readonly name: string;
  readonly namespace: string;
  readonly scope: 'Global' | 'Namespace' | 'WorkloadSelector';
  readonly action: 'Allow' | 'Deny';
  readonly dryRun: boolean;
  /** rules (OR) → clauses (AND) → matches (OR); data-carrying enums are `{ tag: 'Exact', value: … }`. */
  readonly rules: readonly (readonly (readonly Readonly<Record<string, unknown>>[])[])[];
}

export interface Scenario {
  readonly name: string;
  /** Steps taken before the request, in order. */
  readonly before: readonly ScenarioStep[];
  readonly request: ScenarioRequest;
  readonly expect: Expectations;
  /** What is expected otherwise in an era: null for what is not judged there. */
  readonly eras?: Readonly<Partial<Record<EraName, ExpectationChanges>>>;
  /** Line in the topology file, for messages. */
  readonly line: number;
}

export type ScenarioStep =
  | { readonly kind: 'enrol'; readonly pod: string }
  | { readonly kind: 'leave'; readonly pod: string }
  | { readonly kind: 'apply'; readonly policies: readonly NetworkPolicy[] }
  | { readonly kind: 'break' | 'mend'; readonly fault: FaultName; readonly at: string }
  | { readonly kind: 'delete'; readonly namespace: string; readonly name: string }
  | {
      readonly kind: 'label';
      readonly pod: string;
      /** `null` takes a label away. */
      readonly labels: Readonly<Record<string, string | null>>;
    };

/**
 * One request. `from` is a pod (`sleep` or `demo/sleep`), a node (its kubelet-like prober) or
 * `outside`. `to` is a URL: `http://…`, `tcp://host:port` (sends a canary and wants it back),
 * `udp://host:port`, or a question to the cluster's DNS: `dns://name/type`, `dns-tcp://…`. A host may be a service name, an address, a pod (`pod:demo/httpbin`), a
 * node (`node:node1`), `outside` or `self` (the client pod's own address). Read it with
 * `parseRequestTarget()`.
 */
export interface ScenarioRequest {
  readonly from: string;
  readonly to: string;
  /**
   * Family to ask in, where names and pods have two: a pod's or node's first when absent, and what
   * the client's own resolver prefers for a name.
   */
  readonly ipFamily?: IpFamily;
  /** Requests made one after the other over separate connections; 1 unless given. */
  readonly count: number;
}

/** Changes of expectations: a value in place of another, or null for none. */
export type ExpectationChanges = {
  readonly [K in keyof Expectations]?: Expectations[K] | null;
};

/** Every field is optional; what is absent is not judged. */
export interface Expectations {
  /** HTTP status the client got. */
  readonly status?: number;
  /** `refused`, `reset`, `timeout` or `ok`: how the client's connection ended. */
  readonly outcome?: 'ok' | 'refused' | 'reset' | 'timeout';
  /** Whose address the app saw: a pod, a node, `outside`, or an IP address. */
  readonly source?: string;
  /** No frame on any link between these two nodes may carry the canary in clear, and some must carry it encrypted. */
  readonly encryptedBetween?: readonly [string, string];
  /** The canary must be readable on the link between the nodes (the positive control of the above). */
  readonly plainBetween?: readonly [string, string];
  /** `mtls` wants HBONE with these identities; `plain` wants none. */
  readonly security?: 'mtls' | 'plain';
  readonly identities?: { readonly client?: string; readonly server?: string };
  /** Legs in order, in the notation of the ladder, e.g. `sleep -> ztunnel:15001`. */
  readonly legs?: readonly string[];
  readonly hops?: number;
  readonly passes?: number;
  /** Interfaces (`netns/ifname`) on which no packet of this request may appear. */
  readonly quiet?: readonly string[];
  /** What the diagnosis finds after the request, all of it; empty for a lab in which all is well. */
  readonly findings?: readonly { readonly cause: CauseName; readonly at: string }[];
}
