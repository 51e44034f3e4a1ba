/** Network between the nodes; node N, counted from 1, is 172.18.0.N. */
export const FABRIC_RANGE = '172.18.0.0/16';
/** Addresses of services, as kubeadm and kind choose them by default. */
export const SERVICE_RANGE = '10.96.0.0/16';
/** Address of the cluster's DNS, the tenth of the service range by kubeadm's convention. */
export const DNS_SERVICE_IP = '10.96.0.10';
/** Ports kube-apiserver gives to services of type NodePort (`--service-node-port-range`). */
export const NODE_PORT_RANGE = { first: 30000, last: 32767 } as const;
/** Ranges no pod may have, and whose they are. */
export const RESERVED_RANGES: Readonly<Record<string, string>> = {
  [FABRIC_RANGE]: "the nodes' own network",
  [SERVICE_RANGE]: 'the addresses of services',
  '127.0.0.0/8': 'loopback',
  '169.254.0.0/16': 'link-local addresses',
};
