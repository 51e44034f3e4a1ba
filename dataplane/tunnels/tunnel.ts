import { isIPv4 } from 'node:net';
import { prefixToBytes } from '../kernel/ip-bytes.ts';
import { TunnelError } from './errors.ts';

/**
 * How a Geneve tunnel is made. `geneve`: the kernel's geneve device. The others are the kernel's vxlan
 * device whose header is made into a Geneve header, and back, on the link below it: `vxlan-ebpf` by
 * eBPF programs, `vxlan-nft` by nft chains.
 */
export type TunnelKind = 'geneve' | 'vxlan-ebpf' | 'vxlan-nft';

/** The best first. */
export const TUNNEL_KINDS = ['geneve', 'vxlan-ebpf', 'vxlan-nft'] as const;

/** The words that `doctor` and results use. */
export const TUNNEL_KIND_TEXT: Readonly<Record<TunnelKind, string>> = {
  geneve: "the kernel's geneve device",
  'vxlan-ebpf': 'vxlan device with its header rewritten to Geneve (eBPF at the link below)',
  'vxlan-nft': 'vxlan device with its header rewritten to Geneve (nft netdev)',
};

/** One end of a point-to-point Geneve tunnel over IPv4. */
export interface TunnelSpec {
  /** Name of the device. */
  readonly name: string;
  readonly vni: number;
  /** Outer address of the other end. */
  readonly remote: string;
  /** UDP port of both ends; Geneve's own is 6081. */
  readonly port: number;
  /** Inner address with its prefix: `192.168.126.1/30`. */
  readonly address: string;
  /** Name of the link that the remote is reached by, in the same netns. */
  readonly underlay: string;
}

/** Outer Ethernet is not counted; IPv4, UDP, Geneve and the inner Ethernet header are. */
export const GENEVE_OVERHEAD_BYTES = 20 + 8 + 8 + 14;

const LONGEST_NAME = 15;

/**
 * Looks at a specification before anything is made.
 * @throws {TunnelError} code DATAPLANE_TUNNEL_INPUT, with the field
 */
export function checkTunnel(spec: TunnelSpec): void {
  checkName(spec, 'name');
  checkName(spec, 'underlay');
  const refuse = (field: keyof TunnelSpec, wished: string): never => {
    throw new TunnelError(
      'DATAPLANE_TUNNEL_INPUT',
      `Cannot make tunnel "${spec.name}": ${field} is "${spec[field]}", ${wished} is wished`,
    );
  };
  if (!Number.isInteger(spec.vni) || spec.vni < 0 || spec.vni > 0xffffff) {
    refuse('vni', '0 to 16777215');
  }
  if (!Number.isInteger(spec.port) || spec.port < 1 || spec.port > 65535) {
    refuse('port', '1 to 65535');
  }
  // The era has no IPv6 anywhere (cni/pkg/ambient, 1.18 to 1.20).
  if (!isIPv4(spec.remote)) refuse('remote', 'an IPv4 address');
  try {
    if (prefixToBytes(spec.address).bytes.length === 4) return;
  } catch {
    // Told below, with the field's name.
  }
  refuse('address', 'an IPv4 address with its prefix');
}

/** Names go into nft text and netlink: what is no plain name of a link goes nowhere. */
function checkName(spec: TunnelSpec, field: 'name' | 'underlay'): void {
  const value = spec[field];
  if (/^[A-Za-z0-9_.-]+$/.test(value) && value.length <= LONGEST_NAME) return;
  throw new TunnelError(
    'DATAPLANE_TUNNEL_INPUT',
    `Cannot make tunnel "${spec.name}": ${field} is "${value}", ` +
      `1 to ${LONGEST_NAME} letters, digits, "_", "." or "-" are wished`,
  );
}
