import { decodeArp } from '../../../dataplane/wire/arp.ts';
import { ETHER_TYPE, formatMac, readEthernet, vlanIds } from '../../../dataplane/wire/ethernet.ts';
import { decodeIcmp } from '../../../dataplane/wire/icmp.ts';
import { IP_PROTOCOL, emptyIpHeader, readIpv4, readIpv6 } from '../../../dataplane/wire/ip.ts';
import { formatIpv4, formatIpv6 } from '../../../dataplane/wire/ip-address.ts';
import {
  GENEVE_PORT,
  TRANS_ETHER_BRIDGING,
  emptyOverlayHeader,
  readGeneve,
  readVxlan,
} from '../../../dataplane/wire/overlay.ts';
import { emptyTcpHeader, readTcp } from '../../../dataplane/wire/tcp.ts';
import { emptyUdpHeader, readUdp } from '../../../dataplane/wire/udp.ts';
import { FRAME_META } from './frame-meta.ts';
import type { FrameTable } from './frame-table.ts';
import { linkPayload, overlayOfPort } from './link-layer.ts';
import type { Frame, Layer } from './types.ts';

const MAX_LAYERS = 24;

/** One frame as an object, all layers decoded; what cannot be is a `malformed` layer, the last. */
export function describeFrame(table: FrameTable, row: number): Frame {
  const meta = table.meta[row]!;
  const mark = table.marks[row]!;
  const connection = table.connections[row]!;
  return {
    number: table.numbers[row]!,
    timeNs: table.timeNs(row),
    capturedBytes: table.capturedBytes[row]!,
    originalBytes: table.originalBytes[row]!,
    ...(mark !== 0 && { mark }),
    ...(meta & FRAME_META.in && { direction: 'in' as const }),
    ...(meta & FRAME_META.out && { direction: 'out' as const }),
    layers: describeLayers(table.linkType, table.bytes(row)),
    ...(connection >= 0 && { connection }),
  };
}

/** Layers of a frame's bytes, outermost first. */
export function describeLayers(linkType: number, bytes: Buffer): Layer[] {
  const layers: Layer[] = [];
  try {
    const link = linkPayload(linkType, bytes, 0, bytes.length);
    if (link.hasEthernet) describeEthernet(bytes, 0, layers);
    else describeNetwork(bytes, link.payloadOffset, link.etherType, layers);
  } catch (error) {
    layers.push({ kind: 'malformed', message: (error as Error).message });
  }
  return layers;
}

function describeEthernet(bytes: Buffer, offset: number, layers: Layer[]): void {
  if (layers.length > MAX_LAYERS) return;
  const header = readEthernet(bytes, offset, bytes.length, { etherType: 0, payloadOffset: 0 });
  layers.push({
    kind: 'ethernet',
    destination: formatMac(bytes, offset),
    source: formatMac(bytes, offset + 6),
    etherType: header.etherType,
    vlans: vlanIds(bytes, offset, bytes.length),
  });
  describeNetwork(bytes, header.payloadOffset, header.etherType, layers);
}

function describeNetwork(bytes: Buffer, offset: number, etherType: number, layers: Layer[]): void {
  if (etherType === ETHER_TYPE.arp) {
    layers.push({ kind: 'arp', ...decodeArp(bytes, offset, bytes.length) });
    return;
  }
  const isIpv6 = etherType === ETHER_TYPE.ipv6;
  if (!isIpv6 && etherType !== ETHER_TYPE.ipv4) return;
  const read = isIpv6 ? readIpv6 : readIpv4;
  const format = isIpv6 ? formatIpv6 : formatIpv4;
  const ip = read(bytes, offset, bytes.length, emptyIpHeader());
  layers.push({
    kind: isIpv6 ? 'ipv6' : 'ipv4',
    source: format(bytes, ip.sourceOffset),
    destination: format(bytes, ip.destinationOffset),
    ttl: ip.ttl,
    protocol: ip.protocol,
    isFragment: ip.isFragment,
  });
  if (ip.fragmentOffset > 0) return;
  const captured = Math.min(bytes.length, ip.payloadEnd);
  describeTransport(bytes, ip.payloadOffset, captured, ip.payloadEnd, ip.protocol, layers);
}

function describeTransport(
  bytes: Buffer,
  offset: number,
  end: number,
  payloadEnd: number,
  protocol: number,
  layers: Layer[],
): void {
  if (protocol === IP_PROTOCOL.tcp) {
    const { payloadOffset, ...fields } = readTcp(bytes, offset, end, emptyTcpHeader());
    layers.push({ kind: 'tcp', ...fields, payloadBytes: payloadEnd - payloadOffset });
  } else if (protocol === IP_PROTOCOL.icmp || protocol === IP_PROTOCOL.icmpv6) {
    const kind = protocol === IP_PROTOCOL.icmp ? 'icmp' : 'icmpv6';
    layers.push({ kind, ...decodeIcmp(bytes, offset, end) });
  } else if (protocol === IP_PROTOCOL.udp) {
    const udp = readUdp(bytes, offset, end, emptyUdpHeader());
    layers.push({
      kind: 'udp',
      sourcePort: udp.sourcePort,
      destinationPort: udp.destinationPort,
      payloadBytes: udp.payloadEnd - udp.payloadOffset,
    });
    const overlayPort = overlayOfPort(udp.destinationPort);
    if (overlayPort > 0) describeOverlay(bytes, udp.payloadOffset, end, overlayPort, layers);
  }
}

function describeOverlay(
  bytes: Buffer,
  offset: number,
  end: number,
  port: number,
  layers: Layer[],
): void {
  const header = emptyOverlayHeader();
  if (port === GENEVE_PORT) {
    const { vni, protocol, optionBytes } = readGeneve(bytes, offset, end, header);
    layers.push({ kind: 'geneve', vni, protocol, optionBytes });
  } else layers.push({ kind: 'vxlan', vni: readVxlan(bytes, offset, end, header).vni });
  if (header.protocol === TRANS_ETHER_BRIDGING) {
    describeEthernet(bytes, header.payloadOffset, layers);
  } else describeNetwork(bytes, header.payloadOffset, header.protocol, layers);
}
