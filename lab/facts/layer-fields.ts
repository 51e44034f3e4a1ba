import { TCP_FLAG } from '../../dataplane/wire/tcp.ts';
import type { Layer } from './dissect/types.ts';
import type { LayerView } from './frame-views.ts';

const ETHER_TYPES: Readonly<Record<number, string>> = {
  0x0800: 'IPv4',
  0x0806: 'ARP',
  0x6558: 'Ethernet',
  0x86dd: 'IPv6',
};
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
};

/** Headers of a frame for people; those inside a tunnel say so in their names. */
export function describeFields(layers: readonly Layer[]): readonly LayerView[] {
  const tunnel = layers.findIndex(({ kind }) => kind === 'geneve' || kind === 'vxlan');
  return layers.map((layer, index) => {
    const view = fieldsOf(layer);
    if (tunnel < 0 || index === tunnel) return view;
    return { ...view, name: `${index < tunnel ? 'Outer' : 'Inner'} ${view.name}` };
  });
}

/** `SYN, ACK` of the flags byte (RFC 9293 section 3.1). */
export function flagNames(flags: number): string {
  const names = Object.entries(TCP_FLAG).filter(([, bit]) => (flags & bit) !== 0);
  return names.map(([name]) => name.toUpperCase()).join(', ') || 'none';
}

function fieldsOf(layer: Layer): LayerView {
  switch (layer.kind) {
    case 'ethernet':
      return {
        name: 'Ethernet',
        fields: [
          ['source', layer.source],
          ['destination', layer.destination],
          ...layer.vlans.map((id): readonly [string, string] => ['VLAN', String(id)]),
          ['type', named(ETHER_TYPES, layer.etherType, hex(layer.etherType))],
        ],
      };
    case 'ipv4':
    case 'ipv6':
      return {
        name: layer.kind === 'ipv4' ? 'IPv4' : 'IPv6',
        fields: [
          ['source', layer.source],
          ['destination', layer.destination],
          [layer.kind === 'ipv4' ? 'TTL' : 'hop limit', String(layer.ttl)],
          ['protocol', named(PROTOCOLS, layer.protocol, String(layer.protocol))],
          ...(layer.isFragment ? ([['fragment', 'yes']] as const) : []),
        ],
      };
    case 'tcp':
      return {
        name: 'TCP',
        fields: [
          ['source port', String(layer.sourcePort)],
          ['destination port', String(layer.destinationPort)],
          ['flags', flagNames(layer.flags)],
          ['sequence', String(layer.sequence)],
          ['acknowledgement', String(layer.acknowledgement)],
          ['window', String(layer.window)],
          ['payload', `${layer.payloadBytes} B`],
        ],
      };
    case 'udp':
      return {
        name: 'UDP',
        fields: [
          ['source port', String(layer.sourcePort)],
          ['destination port', String(layer.destinationPort)],
          ['payload', `${layer.payloadBytes} B`],
        ],
      };
    case 'geneve':
      return {
        name: 'Geneve',
        fields: [
          ['VNI', String(layer.vni)],
          ['carries', named(ETHER_TYPES, layer.protocol, hex(layer.protocol))],
          ['options', `${layer.optionBytes} B`],
        ],
      };
    case 'vxlan':
      return { name: 'VXLAN', fields: [['VNI', String(layer.vni)]] };
    case 'malformed':
      return { name: 'Malformed', fields: [['why', layer.message]] };
    default:
      return otherFields(layer);
  }
}

function otherFields(layer: Layer): LayerView {
  const { kind, ...fields } = layer;
  return {
    name: kind.toUpperCase(),
    fields: Object.entries(fields).map(([name, value]) => [name, String(value)] as const),
  };
}

function named(names: Readonly<Record<number, string>>, value: number, text: string): string {
  const name = names[value];
  return name === undefined ? text : `${text} (${name})`;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
