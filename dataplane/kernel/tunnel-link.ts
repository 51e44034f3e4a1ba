import { ipToBytes } from './ip-bytes.ts';
import type { NetlinkSocket } from './netlink.ts';
import {
  attribute,
  attributeText,
  attributeU32,
  decodeAttributes,
  encodeMessage,
  nested,
  NLM_F_CREATE,
  NLM_F_EXCL,
  type NetlinkMessage,
  textAttribute,
  u32Attribute,
} from './netlink-message.ts';
import {
  endAttributes,
  linkHeader,
  RTM_GETLINK,
  RTM_NEWLINK,
  type VethEnd,
} from './rtnetlink.ts';

/** Attributes of include/uapi/linux/if_link.h. */
const IFLA_LINKINFO = 18;
const INFO_KIND = 1;
const INFO_DATA = 2;
const GENEVE = { id: 1, remote: 2, port: 5 } as const;
const VXLAN = { id: 1, remote: 2, learning: 7, sourcePorts: 10, port: 15, udpChecksum: 18 } as const;

/** A tunnel device with one other end, IPv4 outside. */
export interface TunnelEnd extends VethEnd {
  /** 24 bits. */
  readonly vni: number;
  readonly remote: string;
  readonly port: number;
}

/**
 * A message that makes the kernel's geneve device, down. EOPNOTSUPP where the kernel has none, EBUSY
 * for a second one of the same VNI, remote and port (drivers/net/geneve.c).
 */
export function createGeneve(end: TunnelEnd): Buffer {
  return createTunnelLink(end, 'geneve', [
    u32Attribute(GENEVE.id, end.vni),
    attribute(GENEVE.remote, ipToBytes(end.remote)),
    attribute(GENEVE.port, portBytes(end.port)),
  ]);
}

export interface VxlanEnd extends TunnelEnd {
  /** Source ports of the outer packets; absent: the local port range of the netns. */
  readonly sourcePorts?: readonly [first: number, last: number];
  /** Whether addresses are learnt from what arrives; default no, as the remote is known. */
  readonly isLearning?: boolean;
  /** Whether the outer UDP header of IPv4 has a checksum; default no. */
  readonly hasUdpChecksum?: boolean;
}

/** A message that makes a vxlan device, down. EEXIST for a second one of that VNI and port. */
export function createVxlan(end: VxlanEnd): Buffer {
  const ports = end.sourcePorts && Buffer.concat(end.sourcePorts.map(portBytes));
  return createTunnelLink(end, 'vxlan', [
    u32Attribute(VXLAN.id, end.vni),
    attribute(VXLAN.remote, ipToBytes(end.remote)),
    attribute(VXLAN.port, portBytes(end.port)),
    attribute(VXLAN.learning, Buffer.from([end.isLearning ? 1 : 0])),
    attribute(VXLAN.udpChecksum, Buffer.from([end.hasUdpChecksum ? 1 : 0])),
    ...(ports === undefined ? [] : [attribute(VXLAN.sourcePorts, ports)]),
  ]);
}

/** A tunnel device as the kernel has it. */
export interface TunnelLink {
  readonly index: number;
  readonly name: string;
  readonly kind: 'geneve' | 'vxlan';
  readonly vni: number;
  /** Empty for a device without one remote of IPv4. */
  readonly remote: string;
  readonly port: number;
  readonly mtuBytes: number;
  readonly isUp: boolean;
}

/** All geneve and vxlan devices of the netns the socket speaks to, by index. */
export function listTunnelLinks(socket: NetlinkSocket): TunnelLink[] {
  const answers = socket.dump(encodeMessage(RTM_GETLINK, 0, linkHeader(0)));
  return answers.flatMap((message) => decodeTunnelLink(message) ?? []);
}

function createTunnelLink(end: TunnelEnd, kind: string, data: readonly Buffer[]): Buffer {
  return encodeMessage(
    RTM_NEWLINK,
    NLM_F_CREATE | NLM_F_EXCL,
    linkHeader(end.index ?? 0),
    ...endAttributes(end),
    nested(IFLA_LINKINFO, textAttribute(INFO_KIND, kind), nested(INFO_DATA, ...data)),
  );
}

function decodeTunnelLink(message: NetlinkMessage): TunnelLink | undefined {
  if (message.type !== RTM_NEWLINK || message.body.length < 16) return undefined;
  const link = decodeAttributes(message.body.subarray(16));
  const info = decodeAttributes(link.get(IFLA_LINKINFO) ?? Buffer.alloc(0));
  const kind = attributeText(info.get(INFO_KIND) ?? Buffer.alloc(0));
  if (kind !== 'geneve' && kind !== 'vxlan') return undefined;
  const data = decodeAttributes(info.get(INFO_DATA) ?? Buffer.alloc(0));
  const type = kind === 'geneve' ? GENEVE : VXLAN;
  const remote = data.get(type.remote);
  return {
    index: message.body.readInt32LE(4),
    name: attributeText(link.get(3) ?? Buffer.alloc(0)),
    kind,
    vni: attributeU32(data.get(type.id)),
    remote: remote === undefined ? '' : remote.join('.'),
    port: data.get(type.port)?.readUInt16BE(0) ?? 0,
    mtuBytes: attributeU32(link.get(4)),
    isUp: (message.body.readUInt32LE(8) & 1) !== 0,
  };
}

function portBytes(port: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(port);
  return bytes;
}
