import { CLUSTER_DOMAIN } from '../../topologies/service-names.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import { OUTSIDE_ADDRESSES } from './addressing.ts';
import { addressesOf, nodeAddresses, type Addressed } from './families.ts';
import type { NodePlan } from './plan.ts';

/**
 * resolv.conf of nodes, of the client outside and of the cluster's DNS: without a server glibc asks
 * 127.0.0.1 and fails at once, instead of asking whatever the machine's own file names.
 */
export const NO_RESOLVER = '# no name server here\n';

/** resolv.conf as kubelet writes it for `dnsPolicy: ClusterFirst`. */
export function resolvConfOfPod(namespace: string, servers: readonly string[]): string {
  const svc = `svc.${CLUSTER_DOMAIN}`;
  return [
    `search ${namespace}.${svc} ${svc} ${CLUSTER_DOMAIN}`,
    ...servers.map((server) => `nameserver ${server}`),
    'options ndots:5',
    '',
  ].join('\n');
}

const LOCALHOST = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];

/** hosts file of a pod as kubelet writes it, with `outside` as an alias of its own. */
export function hostsOfPod(netns: string, pod: Addressed, ipFamilies: readonly IpFamily[]): string {
  const hostname = netns.split('.')[0]!;
  const own = addressesOf(pod).map((address) => `${address}\t${hostname}`);
  return [...LOCALHOST, ...own, ...outsideLines(ipFamilies), ''].join('\n');
}

/** hosts file of a node or of the client outside: all machines on the fabric by name. */
export function hostsOfMachine(
  nodes: readonly NodePlan[],
  ipFamilies: readonly IpFamily[],
): string {
  const machines = nodes.flatMap((node) =>
    nodeAddresses(node).map(({ address }) => `${address}\t${node.name}`),
  );
  return [...LOCALHOST, ...machines, ...outsideLines(ipFamilies), ''].join('\n');
}

function outsideLines(ipFamilies: readonly IpFamily[]): readonly string[] {
  return ipFamilies.map((family) => `${OUTSIDE_ADDRESSES[family]}\toutside`);
}
