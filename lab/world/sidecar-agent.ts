import { SIDECAR_PORTS, SIDECAR_UID } from '../../dataplane/redirect/sidecar-constants.ts';
import { createFileCa } from '../../dataplane/identity/file-ca.ts';
import { join } from 'node:path';
import { hasIpv6 } from '../plan/families.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';
import type { ChildSpec } from './child-table.ts';
import { getInNetns } from './netns-http.ts';
import type { LabPaths } from './paths.ts';
import { programEnv } from './program-env.ts';
import { programArgv } from './programs.ts';

/** Where istio-agent serves what ztunnel serves on 15000: Envoy has that port in a sidecar. */
const AGENT_ADMIN_PORT = 15004;

/**
 * What stands for istio-agent in a pod whose sidecar captures DNS: our ztunnel without its proxy,
 * which answers on 15053 out of the same workloads. It runs as root, with the group by which the
 * rules know the agent's own questions: the files it reads are root's.
 */
export function sidecarAgentSpec(
  plan: Plan,
  pod: PodPlan,
  { directory }: LabPaths,
): Omit<ChildSpec, 'netnsFd'> {
  const ca = createFileCa({ dir: join(directory, 'ca'), trustDomain: plan.trustDomain });
  const env = programEnv({
    PROXY_MODE: 'dedicated',
    PROXY_WORKLOAD_INFO: `${pod.namespace}/${pod.name}/${pod.serviceAccount}`,
    ENABLE_PROXY: 'false',
    ISTIO_META_DNS_CAPTURE: 'true',
    NODE_NAME: pod.node,
    CLUSTER_DOMAIN: plan.clusterDomain,
    IPV6_ENABLED: String(hasIpv6(plan)),
    ADMIN_PORT: String(AGENT_ADMIN_PORT),
    READINESS_PORT: String(SIDECAR_PORTS.status),
    RESOLV_CONF: `/etc/netns/${pod.netns}/resolv.conf`,
    XDS_ADDRESS: '',
    LOCAL_XDS_PATH: join(directory, 'workloads.yaml'),
    FAKE_CA: 'true',
    CA_CERT_FILE: ca.certFile,
    CA_KEY_FILE: ca.keyFile,
    RUST_LOG: 'info,dns=debug',
  });
  return {
    kind: 'sidecar-agent',
    name: `agent-${pod.netns}`,
    node: pod.node,
    netns: pod.netns,
    argv: programArgv('ztunnel'),
    env,
    user: { uid: 0, gid: SIDECAR_UID },
  };
}

/** Whether the agent in a pod answers DNS. */
export async function isAgentReady(netnsFd: number): Promise<boolean> {
  const { status } = await getInNetns(netnsFd, '127.0.0.1', SIDECAR_PORTS.status, '/healthz/ready');
  return status === 200;
}
