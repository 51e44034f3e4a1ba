/**
 * Flavours of the primary CNI: how pods hang on their node, and how nodes reach each other's pods.
 * `ptp`: a routed veth a pod, plain routes between nodes (as the ptp plugin, Calico without overlay).
 * `bridge`: pods are ports of `cni0`, plain routes between nodes (as the bridge plugin).
 * `vxlan`: pods as with ptp, node to node in a VXLAN overlay (as Calico's VXLAN mode).
 */
export const CNI_NAMES = ['ptp', 'bridge', 'vxlan'] as const;

export type CniName = (typeof CNI_NAMES)[number];

export const DEFAULT_CNI_NAME: CniName = 'ptp';

/** What enforces NetworkPolicy objects on a node. */
export const NETWORK_POLICY_FLAVOURS = ['nft', 'iptables'] as const;

export type NetworkPolicyFlavour = (typeof NETWORK_POLICY_FLAVOURS)[number];

export const DEFAULT_NETWORK_POLICY_FLAVOUR: NetworkPolicyFlavour = 'nft';
