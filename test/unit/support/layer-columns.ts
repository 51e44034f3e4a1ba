import type { Frame, Layer } from '../../../lab/facts/dissect/types.ts';

/** Headers that are compared, by tshark's names. */
export const LAYER_FIELDS = [
  'eth.src',
  'eth.dst',
  'arp.opcode',
  'ip.ttl',
  'ip.proto',
  'ipv6.hlim',
  'tcp.seq_raw',
  'tcp.ack_raw',
  'udp.srcport',
  'udp.dstport',
  'udp.length',
  'icmp.type',
  'icmp.code',
  'icmpv6.type',
  'icmpv6.code',
  'geneve.vni',
  'geneve.proto_type',
  'vxlan.vni',
] as const;

type Of<K extends Layer['kind']> = Extract<Layer, { kind: K }>;

/** A frame's layers by {@link LAYER_FIELDS}: outermost first, commas between, as tshark prints them. */
export function layerColumns({ layers }: Frame): readonly string[] {
  const all = <K extends Layer['kind']>(
    kinds: readonly K[],
    read: (layer: Of<K>) => string | number,
  ): string =>
    layers
      .filter((layer): layer is Of<K> => (kinds as readonly string[]).includes(layer.kind))
      .map(read)
      .join(',');
  return [
    all(['ethernet'], ({ source }) => source),
    all(['ethernet'], ({ destination }) => destination),
    all(['arp'], ({ operation }) => operation),
    all(['ipv4'], ({ ttl }) => ttl),
    all(['ipv4'], ({ protocol }) => protocol),
    all(['ipv6'], ({ ttl }) => ttl),
    all(['tcp'], ({ sequence }) => sequence),
    all(['tcp'], ({ acknowledgement }) => acknowledgement),
    all(['udp'], ({ sourcePort }) => sourcePort),
    all(['udp'], ({ destinationPort }) => destinationPort),
    all(['udp'], ({ payloadBytes }) => payloadBytes + 8),
    all(['icmp'], ({ type }) => type),
    all(['icmp'], ({ code }) => code),
    all(['icmpv6'], ({ type }) => type),
    all(['icmpv6'], ({ code }) => code),
    all(['geneve'], ({ vni }) => hex(vni, 6)),
    all(['geneve'], ({ protocol }) => hex(protocol, 4)),
    all(['vxlan'], ({ vni }) => vni),
  ];
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
