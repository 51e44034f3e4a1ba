import { CLUSTER_DOMAIN } from '../../topologies/service-names.ts';
import { OUTSIDE_ADDRESS } from './addressing.ts';

/**
 * resolv.conf of nodes, of the client outside and of the cluster's DNS: without a server glibc asks
 * 127.0.0.1 and fails at once, instead of asking whatever the machine's own file names.
 */
export const NO_RESOLVER = '# no name server here\n';

/** resolv.conf as kubelet writes it for `dnsPolicy: ClusterFirst`. */
export function resolvConfOfPod(namespace: string, server: string): string {
  const svc = `svc.${CLUSTER_DOMAIN}`;
  return [
    `search ${namespace}.${svc} ${svc} ${CLUSTER_DOMAIN}`,
    `nameserver ${server}`,
    'options ndots:5',
    '',
  ].join('\n');
}

const LOCALHOST = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];

/** hosts file of a pod as kubelet writes it, with `outside` as an alias of its own. */
export function hostsOfPod(netns: string, address: string): string {
  const hostname = netns.split('.')[0]!;
  return [...LOCALHOST, `${address}\t${hostname}`, `${OUTSIDE_ADDRESS}\toutside`, ''].join('\n');
}

/** hosts file of a node or of the client outside: all machines on the fabric by name. */
export function hostsOfMachine(
  nodes: readonly { readonly name: string; readonly address: string }[],
): string {
  const machines = nodes.map(({ name, address }) => `${address}\t${name}`);
  return [...LOCALHOST, ...machines, `${OUTSIDE_ADDRESS}\toutside`, ''].join('\n');
}
