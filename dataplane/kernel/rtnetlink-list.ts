import { bytesToIp } from './ip-bytes.ts';
import type { NetlinkSocket } from './netlink.ts';
import {
  attributeText,
  attributeU32,
  decodeAttributes,
  encodeMessage,
  type NetlinkMessage,
  textAttribute,
} from './netlink-message.ts';
import { RTM_GETLINK, RTM_NEWLINK, RTM_NEWROUTE, RTM_NEWRULE } from './rtnetlink.ts';

/** One interface of a netns. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Empty for links without one. */
  readonly mac: string;
  /** `IFF_*` bits. */
  readonly flags: number;
  readonly isUp: boolean;
  readonly isLoopback: boolean;
  readonly mtuBytes: number;
  /** `veth`, `bridge`, `vxlan`; empty for loopback and hardware. */
  readonly kind: string;
  /** Index of the bridge it is a port of, 0 for none. */
  readonly master: number;
  /** The other end of a veth: its index, in the netns with that id seen from here (absent: here). */
  readonly peer: { readonly index: number; readonly netnsId?: number } | undefined;
  /** ARPHRD_*: 1 Ethernet, 772 loopback. */
  readonly type: number;
}

export interface RouteListEntry {
  /** CIDR; `0.0.0.0/0` and `::/0` for the default route. */
  readonly to: string;
  readonly via: string | undefined;
  readonly index: number | undefined;
  readonly table: number;
  /** Numbers of include/uapi/linux/rtnetlink.h. */
  readonly scope: number;
  readonly type: number;
  readonly protocol: number;
  readonly source: string | undefined;
  readonly isOnlink: boolean;
  readonly metric: number;
}

export interface RuleListEntry {
  readonly family: 'ipv4' | 'ipv6';
  readonly priority: number;
  readonly table: number;
  /** Priority of the rule it goes on at; absent for a rule that asks a table. */
  readonly goto: number | undefined;
  readonly mark: number;
  readonly mask: number;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly isInverted: boolean;
}

const RTM_GETROUTE = 26;
const RTM_GETRULE = 34;
const AF_INET = 2;
const AF_INET6 = 10;
const FIB_RULE_INVERT = 2;
const FR_ACT_GOTO = 2;
const RTNH_F_ONLINK = 4;
const IFF_LOOPBACK = 8;
const ENODEV = 'ENODEV';

/** All links of the netns the socket speaks to, by index. */
export function listLinks(socket: NetlinkSocket): Link[] {
  const answers = socket.dump(encodeMessage(RTM_GETLINK, 0, Buffer.alloc(16)));
  return answers.flatMap((message) => decodeLink(message) ?? []);
}

/** The link of that name or index; undefined when there is none. */
export function findLink(socket: NetlinkSocket, link: string | number): Link | undefined {
  const header = Buffer.alloc(16);
  if (typeof link === 'number') header.writeInt32LE(link, 4);
  const name = typeof link === 'string' ? [textAttribute(3, link)] : [];
  try {
    const answers = socket.request([encodeMessage(RTM_GETLINK, 0, header, ...name)]);
    return answers.flatMap((message) => decodeLink(message) ?? [])[0];
  } catch (error) {
    if ((error as { errnoName?: string }).errnoName === ENODEV) return undefined;
    throw error;
  }
}

/** Routes of every table of one family. */
export function listRoutes(socket: NetlinkSocket, family: 'ipv4' | 'ipv6'): RouteListEntry[] {
  const header = Buffer.alloc(12);
  header[0] = family === 'ipv4' ? AF_INET : AF_INET6;
  return socket
    .dump(encodeMessage(RTM_GETROUTE, 0, header))
    .flatMap((message) => decodeRoute(message) ?? []);
}

/** Rules of policy routing of one family, in the order they are walked. */
export function listRules(socket: NetlinkSocket, family: 'ipv4' | 'ipv6'): RuleListEntry[] {
  const header = Buffer.alloc(12);
  header[0] = family === 'ipv4' ? AF_INET : AF_INET6;
  return socket
    .dump(encodeMessage(RTM_GETRULE, 0, header))
    .flatMap((message) => decodeRule(message) ?? []);
}

/** A link from an RTM_NEWLINK or RTM_DELLINK message; undefined for anything else. */
export function decodeLink(message: NetlinkMessage): Link | undefined {
  if (message.type < RTM_NEWLINK || message.type >= RTM_GETLINK) return undefined;
  if (message.body.length < 16) return undefined;
  const attributes = decodeAttributes(message.body.subarray(16));
  const info = decodeAttributes(attributes.get(18) ?? Buffer.alloc(0));
  const name = attributes.get(3);
  const flags = message.body.readUInt32LE(8);
  const kind = info.get(1);
  return {
    index: message.body.readInt32LE(4),
    type: message.body.readUInt16LE(2),
    name: name ? attributeText(name) : '',
    mac: (attributes.get(1)?.toString('hex') ?? '').replaceAll(/..(?=.)/g, '$&:'),
    flags,
    isUp: (flags & 1) !== 0,
    isLoopback: (flags & IFF_LOOPBACK) !== 0,
    mtuBytes: attributeU32(attributes.get(4)),
    kind: kind ? attributeText(kind) : '',
    master: attributeU32(attributes.get(10)),
    peer: peerOf(attributes),
  };
}

function peerOf(attributes: Map<number, Buffer>): Link['peer'] {
  const peer = attributes.get(5);
  const netnsId = attributes.get(37);
  if (!peer) return undefined;
  const index = attributeU32(peer);
  return netnsId ? { index, netnsId: netnsId.readInt32LE(0) } : { index };
}

function decodeRoute(message: NetlinkMessage): RouteListEntry | undefined {
  if (message.type !== RTM_NEWROUTE || message.body.length < 12) return undefined;
  const { body } = message;
  const attributes = decodeAttributes(body.subarray(12));
  const text = (type: number) => {
    const bytes = attributes.get(type);
    return bytes && bytesToIp(bytes);
  };
  const any = body[0] === AF_INET6 ? '::' : '0.0.0.0';
  const index = attributes.get(4);
  return {
    to: `${text(1) ?? any}/${body[1]}`,
    via: text(5),
    index: index && attributeU32(index),
    table: attributeU32(attributes.get(15)) || (body[4] ?? 0),
    scope: body[6] ?? 0,
    type: body[7] ?? 0,
    protocol: body[5] ?? 0,
    source: text(7),
    isOnlink: (body.readUInt32LE(8) & RTNH_F_ONLINK) !== 0,
    metric: attributeU32(attributes.get(6)),
  };
}

function decodeRule(message: NetlinkMessage): RuleListEntry | undefined {
  if (message.type !== RTM_NEWRULE || message.body.length < 12) return undefined;
  const { body } = message;
  const attributes = decodeAttributes(body.subarray(12));
  const prefix = (type: number, length: number | undefined) => {
    const bytes = attributes.get(type);
    return bytes && `${bytesToIp(bytes)}/${length}`;
  };
  return {
    family: body[0] === AF_INET6 ? 'ipv6' : 'ipv4',
    priority: attributeU32(attributes.get(6)),
    table: attributeU32(attributes.get(15)) || (body[4] ?? 0),
    goto: body[7] === FR_ACT_GOTO ? attributeU32(attributes.get(4)) : undefined,
    mark: attributeU32(attributes.get(10)),
    mask: attributeU32(attributes.get(16)),
    from: prefix(2, body[2]),
    to: prefix(1, body[1]),
    isInverted: (body.readUInt32LE(8) & FIB_RULE_INVERT) !== 0,
  };
}
