import type { NodePlan, Plan } from '../plan/plan.ts';
import type { ChildSpec } from './child-table.ts';
import type { ProgramCommand } from './lab.ts';
import { getInNetns } from './netns-http.ts';
import { nodeSockets, type LabPaths } from './paths.ts';
import { programEnv } from './program-env.ts';
import { MEMORY_ENV, ZTUNNEL_FLAGS } from './program-memory.ts';
import { programArgv } from './programs.ts';
import type { MeshFiles } from './mesh-files.ts';

/** Ports of ztunnel's own namespace (facts: ztunnel §1.1). */
const ADMIN_PORT = 15000;
const READINESS_PORT = 15021;

/** One pod of a node's ztunnel: what its process is called, and where it runs. */
export interface ZtunnelPod {
  readonly name: string;
  readonly netns: string;
  readonly address: string;
}

/** The pods a node's ztunnel may run in: its own, and the spare one where the plan has it. */
export function ztunnelPodsOf(node: NodePlan): readonly [ZtunnelPod, ...ZtunnelPod[]] {
  const { name, ztunnelNetns: netns, ztunnelAddress: address, spareZtunnel } = node;
  const own = { name: `ztunnel-${name}`, netns, address };
  return spareZtunnel ? [own, { ...spareZtunnel, name: `ztunnel-${name}-b` }] : [own];
}

export interface ZtunnelFiles {
  readonly paths: LabPaths;
  readonly files: MeshFiles;
  readonly foreign: ProgramCommand | undefined;
  readonly withoutEvidence: boolean;
}

/**
 * How a node's ztunnel is started: the documented environment of shared mode with a static file
 * and a CA of files. A foreign ztunnel gets the same, and its own variables on top.
 */
export function ztunnelSpec(
  plan: Plan,
  node: NodePlan,
  { name, netns, address }: ZtunnelPod,
  { paths, files, foreign, withoutEvidence }: ZtunnelFiles,
): Omit<ChildSpec, 'netnsFd'> {
  const env = programEnv({
    PROXY_MODE: 'shared',
    NODE_NAME: node.name,
    POD_NAME: name,
    POD_NAMESPACE: 'istio-system',
    SERVICE_ACCOUNT: 'ztunnel',
    INSTANCE_IP: address,
    CLUSTER_ID: 'Kubernetes',
    CLUSTER_DOMAIN: plan.clusterDomain,
    TRUST_DOMAIN: plan.trustDomain,
    INPOD_UDS: nodeSockets(node.name).zds,
    XDS_ADDRESS: '',
    LOCAL_XDS_PATH: files.staticConfig,
    FAKE_CA: 'true',
    CA_CERT_FILE: files.ca.certFile,
    CA_KEY_FILE: files.ca.keyFile,
    // As in a cluster it listens whatever the agents redirect: a pod's annotation may ask for it.
    ISTIO_META_DNS_CAPTURE: String(plan.era !== 'geneve' || plan.dnsCapture),
    // The DNS rule of 1.21 to 1.23 does not spare ztunnel's mark: from the pod its questions would loop.
    DNS_FORWARD_NETNS: plan.era === 'inpod-tproxy' ? 'process' : 'pod',
    ...(plan.era === 'geneve' && {
      INPOD_ENABLED: 'false',
      // Questions come over the node, by DNAT to the ztunnel pod's own address.
      ISTIO_META_DNS_PROXY_ADDR: `${address}:15053`,
      POOL_ENABLED: String(plan.release !== '1.18'),
    }),
    ...(!withoutEvidence && { SSLKEYLOGFILE: paths.keys, LEG_LOG: paths.legs }),
    RUST_LOG: 'info',
    ...MEMORY_ENV,
    ...foreign?.env,
  });
  const argv = foreign?.argv ?? programArgv('ztunnel', ZTUNNEL_FLAGS);
  return { kind: 'ztunnel', name, node: node.name, netns, argv, env };
}

/** Whether a ztunnel says that it serves all pods it was told of. */
export async function isZtunnelReady(netns: number): Promise<boolean> {
  const { status } = await getInNetns(netns, '127.0.0.1', READINESS_PORT, '/healthz/ready');
  return status === 200;
}

/**
 * Whether a ztunnel's state has each workload with the protocol that the static file says;
 * `config_dump` leaves out what has its default, TCP.
 */
export async function hasProtocols(
  netns: number,
  wished: ReadonlyMap<string, 'HBONE' | 'TCP'>,
): Promise<boolean> {
  const { status, body } = await getInNetns(netns, '127.0.0.1', ADMIN_PORT, '/config_dump');
  if (status !== 200) return false;
  const { workloads } = JSON.parse(body) as {
    readonly workloads: readonly { readonly uid: string; readonly protocol?: string }[];
  };
  const seen = new Map(workloads.map(({ uid, protocol }) => [uid, protocol ?? 'TCP']));
  return [...wished].every(([uid, protocol]) => seen.get(uid) === protocol);
}
