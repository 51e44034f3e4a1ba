import type { Era, IptablesBackend, TproxyRelease } from '../../dataplane/redirect/era.ts';
import type { GeneveRelease } from '../../dataplane/redirect/geneve-constants.ts';
import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import type { CniName, NetworkPolicyFlavour } from '../../topologies/cni.ts';
import type { GuestPlan } from './guests.ts';
import type { SidecarPlan } from './sidecars.ts';
import type {
  CaptureOptions,
  IpFamily,
  KubernetesObject,
  Scenario,
  StaticPolicy,
} from './inputs.ts';

/**
 * The second state of a world: every name, address, route, rule and process decided. Pure data,
 * printable, snapshot-tested; building it is mechanical and asks no further questions.
 */
export interface Plan {
  readonly lab: string;
  readonly topologyFile: string;
  readonly era: Era;
  /** Istio release that era geneve follows. */
  readonly release?: GeneveRelease;
  /** Istio release that era inpod-tproxy follows, when the topology says. */
  readonly tproxyRelease?: TproxyRelease;
  /** How the tunnels of era geneve are made; the best that the machine has when absent. */
  readonly tunnels?: TunnelKind;
  readonly dnsCapture: boolean;
  /** Backend of iptables in every namespace; whatever `iptables` is on the machine when absent. */
  readonly iptables?: IptablesBackend;
  readonly cni: CniName;
  /** What enforces NetworkPolicy objects on the nodes. */
  readonly networkPolicy: NetworkPolicyFlavour;
  readonly clusterDomain: 'cluster.local';
  readonly trustDomain: 'cluster.local';
  /** Address pods have in /etc/resolv.conf: the VIP of the cluster DNS service. */
  readonly dnsServiceIp: string;
  /** The same in the other family, in a lab of two. */
  readonly secondDnsServiceIp?: string;
  /** Families of the lab, the default one first; absent in a lab of IPv4 only. */
  readonly ipFamilies?: readonly IpFamily[];
  readonly netns: readonly NetnsPlan[];
  readonly links: readonly VethPlan[];
  readonly nodes: readonly NodePlan[];
  readonly pods: readonly PodPlan[];
  /** Machines inside pods; absent when there are none. */
  readonly guests?: readonly GuestPlan[];
  /** The client outside the cluster; its apps answer requests that leave the cluster. */
  readonly outside: OutsidePlan;
  readonly services: readonly ServicePlan[];
  readonly policies: readonly StaticPolicy[];
  readonly objects: readonly KubernetesObject[];
  readonly capture: CaptureOptions;
  readonly scenarios: readonly Scenario[];
}

/** What a network namespace stands for. `fabric` is the switch between the nodes. */
export type NetnsRole = 'fabric' | 'node' | 'pod' | 'ztunnel' | 'outside';

export interface NetnsPlan {
  /** Name under the lab's own /run/netns: `fabric`, `node1`, `sleep.demo`, `outside`. */
  readonly name: string;
  readonly role: NetnsRole;
  /** Node it belongs to; absent for `fabric` and `outside`. */
  readonly node?: string;
  /** Written before any interface exists, so that interfaces inherit them; keys with dots. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** The same for keys that only exist where a kernel module is there (conntrack, br_netfilter). */
  readonly sysctlsIfPresent?: Readonly<Record<string, string>>;
  readonly bridges: readonly BridgePlan[];
  /** Overlay devices; absent for none. */
  readonly vxlans?: readonly VxlanPlan[];
  readonly addresses: readonly AddressPlan[];
  readonly routes: readonly RoutePlan[];
  /** Names `ip netns exec` and `exec` resolve with: text of /etc/netns/<name>/resolv.conf and hosts. */
  readonly resolvConf?: string;
  readonly hosts?: string;
  /** `iptables-restore` input for this netns at start (kube-proxy rules on nodes); empty for none. */
  readonly restore?: string;
  /** The same for `ip6tables-restore`. */
  readonly restoreIpv6?: string;
}

export interface BridgePlan {
  readonly name: string;
  readonly ports: readonly string[];
  /** That of the lowest port when absent, as the kernel has it. */
  readonly mac?: string;
  /** Frames may leave by the port they came in on: a pod that calls itself by its service. */
  readonly hairpin?: boolean;
}

/** One end of the overlay between nodes, and how it reaches the others: nothing is learnt. */
export interface VxlanPlan {
  readonly name: string;
  readonly vni: number;
  readonly udpPort: number;
  readonly mac: string;
  /** Source of the outer packets, of the lab's first family. */
  readonly local: string;
  readonly mtuBytes: number;
  readonly peers: readonly VxlanPeer[];
}

export interface VxlanPeer {
  /** Destination of the outer packets. */
  readonly node: string;
  /** Addresses, one of each family of the lab, and MAC of the device at the other end. */
  readonly addresses: readonly string[];
  readonly mac: string;
}

export interface AddressPlan {
  readonly link: string;
  /** Address with prefix length. */
  readonly address: string;
}

export interface RoutePlan {
  /** Destination CIDR, or `default`. */
  readonly to: string;
  readonly via?: string;
  readonly link: string;
  readonly scope?: 'link' | 'global';
  /** The gateway counts as being on the link though no route says so. */
  readonly isOnlink?: boolean;
  readonly source?: string;
}

export interface VethPlan {
  readonly a: EndpointPlan;
  readonly b: EndpointPlan;
  readonly mtuBytes: number;
}

export interface EndpointPlan {
  readonly netns: string;
  readonly name: string;
  /** Locally administered, derived from the lab's names, so that captures of two runs compare. */
  readonly mac: string;
}

/** What a node has in one family. */
export interface NodeAddresses {
  readonly address: string;
  readonly podRange: string;
  /** Address of the node on every pod link (the pods' gateway). */
  readonly gateway: string;
  readonly ztunnelAddress: string;
}

/** A node; its own addresses are those of the lab's first family. */
export interface NodePlan extends NodeAddresses {
  readonly name: string;
  /** Netns of this node's ztunnel pod. */
  readonly ztunnelNetns: string;
  /** Addresses of the other family, in a lab of two. */
  readonly second?: NodeAddresses;
  /** Where a second ztunnel can run beside the first, in a lab that was planned so. */
  readonly spareZtunnel?: ZtunnelPlace;
}

/** A pod that a node's ztunnel runs in. */
export interface ZtunnelPlace {
  readonly netns: string;
  /** Of the lab's first family. */
  readonly address: string;
  /** Host-side end of its veth. */
  readonly hostLink: string;
}

export interface OutsidePlan {
  readonly netns: 'outside';
  /** Its address on the fabric; it has no route to the pods' ranges. */
  readonly address: string;
  /** Of the other family, in a lab of two. */
  readonly secondAddress?: string;
  readonly apps: readonly AppPlan[];
}

export interface PodPlan {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly node: string;
  readonly netns: string;
  /** Of the lab's first family. */
  readonly address: string;
  /** Of the other family, in a lab of two. */
  readonly secondAddress?: string;
  /** Host-side end of its veth, in the node's netns. */
  readonly hostLink: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** What the controller that made it is called (Deployment or the pod itself). */
  readonly workloadName: string;
  readonly workloadType: 'deployment' | 'pod';
  /** Whether labels of pod and namespace ask for ambient when the lab starts. */
  readonly enrolled: boolean;
  /** Its sidecar; absent for none. */
  readonly sidecar?: SidecarPlan;
  /** `system` pods (cluster DNS) are the lab's own. */
  readonly system: boolean;
  readonly apps: readonly AppPlan[];
}

/** A program of a pod: a built-in of the app host, or a command of the machine. */
export type AppPlan =
  | { readonly kind: 'http'; readonly port: number; readonly version: string }
  | { readonly kind: 'tcp-echo'; readonly port: number }
  | { readonly kind: 'udp-echo'; readonly port: number }
  | { readonly kind: 'dns'; readonly port: number }
  | {
      readonly kind: 'command';
      readonly argv: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };

export interface ServicePlan {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** Absent for a headless service. */
  readonly vip?: string;
  /** Of the other family, for a service of two. */
  readonly secondVip?: string;
  /** Families of a service, that of `vip` first; absent in a lab of IPv4 only. */
  readonly ipFamilies?: readonly IpFamily[];
  readonly ports: readonly ServicePortPlan[];
  readonly endpoints: readonly EndpointOfService[];
}

export interface ServicePortPlan {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
  /** 0 when the target is a named port that differs between pods; see each endpoint. */
  readonly targetPort: number;
  readonly nodePort?: number;
}

export interface EndpointOfService {
  /** uid of the pod. */
  readonly pod: string;
  /** Of the service's first family. */
  readonly address: string;
  /** Of the other family, for a service of two. */
  readonly secondAddress?: string;
  /** service port → target port on this pod. */
  readonly ports: Readonly<Record<number, number>>;
}
