import type { IpFamily } from './ip.ts';

/** Network between the nodes; node N, counted from 1, is 172.18.0.N. */
const FABRIC_RANGE = '172.18.0.0/16';
/** Addresses of services, as kubeadm and kind choose them by default. */
const SERVICE_RANGE = '10.96.0.0/16';
/** Address of the cluster's DNS, the tenth of the service range by kubeadm's convention. */
const DNS_SERVICE_IP = '10.96.0.10';
/**
 * The ranges of each family. Those of IPv6 are unique local (RFC 4193), for pods and services the
 * ones kind takes by default (`fd00:10:244::/56`, `fd00:10:96::/112`).
 */
export const RANGES = {
  IPv4: { fabric: FABRIC_RANGE, pods: '10.244.0.0/16', services: SERVICE_RANGE },
  IPv6: { fabric: 'fd00:172:18::/64', pods: 'fd00:10:244::/56', services: 'fd00:10:96::/112' },
} as const satisfies Record<IpFamily, Record<'fabric' | 'pods' | 'services', string>>;
/** Address of the cluster's DNS in each family. */
export const DNS_SERVICE_IPS = {
  IPv4: DNS_SERVICE_IP,
  IPv6: 'fd00:10:96::a',
} as const satisfies Record<IpFamily, string>;
/** Ports kube-apiserver gives to services of type NodePort (`--service-node-port-range`). */
export const NODE_PORT_RANGE = { first: 30000, last: 32767 } as const;
/** Ranges no pod may have, and whose they are. */
export const RESERVED_RANGES: Readonly<Record<string, string>> = {
  [FABRIC_RANGE]: "the nodes' own network",
  [SERVICE_RANGE]: 'the addresses of services',
  '127.0.0.0/8': 'loopback',
  '169.254.0.0/16': 'link-local addresses',
  [RANGES.IPv6.fabric]: "the nodes' own network",
  [RANGES.IPv6.services]: 'the addresses of services',
  '::/96': 'loopback and unspecified addresses',
  'fe80::/10': 'link-local addresses',
  'ff00::/8': 'multicast addresses',
  'fd16:9254:7127:1337::/64': "the address of the nodes' probes",
};
