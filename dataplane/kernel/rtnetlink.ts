import {
  attribute,
  encodeMessage,
  nested,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  textAttribute,
  u32Attribute,
} from './netlink-message.ts';
import { ipToBytes, prefixToBytes } from './ip-bytes.ts';

/** Message types and constants of include/uapi/linux/{rtnetlink,if_link,if_addr,fib_rules,veth}.h. */
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
const RTM_NEWNEIGH = 28;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;

const IFLA = { address: 1, name: 3, mtu: 4, master: 10, info: 18, netnsFd: 28 } as const;
const INFO_KIND = 1;
const INFO_DATA = 2;
const INFO_SLAVE_KIND = 4;
const INFO_SLAVE_DATA = 5;
const BRPORT_MODE = 4;
const VETH_INFO_PEER = 1;
const VXLAN = { id: 1, local: 4, learning: 7, port: 15, local6: 17 } as const;
const IFF_UP = 1;
const AF_INET = 2;
const AF_BRIDGE = 7;
const NUD_PERMANENT = 0x80;
const NTF_SELF = 2;
const AF_INET6 = 10;
const IFA_F_NODAD = 2;
const RTNH_F_ONLINK = 4;
const FIB_RULE_INVERT = 2;
const FR_ACT_TO_TBL = 1;
const FR_ACT_GOTO = 2;
const TABLE_COMPAT = 252;

/** Number of the routing table `main`. */
export const MAIN_TABLE = 254;
/** Number of the routing table `local`. */
export const LOCAL_TABLE = 255;

/** How routes came to be (`proto` of ip-route); the kernel only stores it. */
const RTPROT_BOOT = 3;
const SCOPES = { global: 0, link: 253, host: 254, nowhere: 255 } as const;
const ROUTE_TYPES = { unicast: 1, local: 2, blackhole: 6, unreachable: 7, prohibit: 8 } as const;

export interface VethEnd {
  readonly name: string;
  /** Descriptor of the netns this end goes to; absent: the netns the socket speaks to. */
  readonly netns?: number;
  readonly mac?: string;
  readonly mtuBytes?: number;
  /** Index wished for; free ones only. Absent: the kernel takes the next. */
  readonly index?: number;
}

/**
 * A message that makes a veth pair with both ends where they belong, both down (an end cannot be up
 * before its peer is there).
 */
export function createVeth(a: VethEnd, b: VethEnd): Buffer {
  const peer = nested(VETH_INFO_PEER, linkHeader(b.index ?? 0), ...endAttributes(b));
  return encodeMessage(
    RTM_NEWLINK,
    NLM_F_CREATE | NLM_F_EXCL,
    linkHeader(a.index ?? 0),
    ...endAttributes(a),
    nested(IFLA.info, textAttribute(INFO_KIND, 'veth'), nested(INFO_DATA, peer)),
  );
}

/** A message that makes a bridge, down. */
export function createBridge(end: VethEnd): Buffer {
  return encodeMessage(
    RTM_NEWLINK,
    NLM_F_CREATE | NLM_F_EXCL,
    linkHeader(end.index ?? 0),
    ...endAttributes(end),
    nested(IFLA.info, textAttribute(INFO_KIND, 'bridge')),
  );
}

export interface VxlanEnd extends VethEnd {
  readonly vni: number;
  readonly udpPort: number;
  /** Source of the outer packets. */
  readonly local: string;
}

/**
 * A message that makes a VXLAN device, down, that learns nothing: `addForwarding()` tells it where
 * each MAC lives (RFC 7348; linux/if_link.h IFLA_VXLAN_*).
 */
export function createVxlan(end: VxlanEnd): Buffer {
  const port = Buffer.alloc(2);
  port.writeUInt16BE(end.udpPort);
  return encodeMessage(
    RTM_NEWLINK,
    NLM_F_CREATE | NLM_F_EXCL,
    linkHeader(end.index ?? 0),
    ...endAttributes(end),
    nested(
      IFLA.info,
      textAttribute(INFO_KIND, 'vxlan'),
      nested(
        INFO_DATA,
        u32Attribute(VXLAN.id, end.vni),
        attribute(end.local.includes(':') ? VXLAN.local6 : VXLAN.local, ipToBytes(end.local)),
        attribute(VXLAN.learning, Buffer.from([0])),
        attribute(VXLAN.port, port),
      ),
    ),
  );
}

/** A message that lets frames of a bridge's port leave by the port they came in on. */
export function setHairpin(index: number): Buffer {
  const data = nested(INFO_SLAVE_DATA, attribute(BRPORT_MODE, Buffer.from([1])));
  const info = nested(IFLA.info, textAttribute(INFO_SLAVE_KIND, 'bridge'), data);
  return encodeMessage(RTM_NEWLINK, 0, linkHeader(index), info);
}

/** A message that gives a neighbour's MAC once and for all: no ARP is sent for it. */
export function addNeighbour(index: number, address: string, mac: string): Buffer {
  const bytes = ipToBytes(address);
  const family = bytes.length === 4 ? AF_INET : AF_INET6;
  return neighbourMessage(family, index, 0, bytes, mac);
}

/** A message that tells a VXLAN device behind which node a MAC lives. */
export function addForwarding(index: number, mac: string, node: string): Buffer {
  return neighbourMessage(AF_BRIDGE, index, NTF_SELF, ipToBytes(node), mac);
}

export interface LinkChange {
  readonly isUp?: boolean;
  readonly mtuBytes?: number;
  readonly mac?: string;
  /** New name; the link must be addressed by index. */
  readonly name?: string;
  /** Index of the bridge it becomes a port of; 0 takes it out. */
  readonly master?: number;
  /** Descriptor of the netns it moves to. */
  readonly netns?: number;
}

/** A message that changes a link, found by index or by name. */
export function setLink(link: number | string, change: LinkChange): Buffer {
  const index = typeof link === 'number' ? link : 0;
  const flags = change.isUp === undefined ? [] : [change.isUp ? IFF_UP : 0, IFF_UP];
  const parts = [linkHeader(index, flags[0], flags[1])];
  if (typeof link === 'string') parts.push(textAttribute(IFLA.name, link));
  else if (change.name !== undefined) parts.push(textAttribute(IFLA.name, change.name));
  if (change.mtuBytes !== undefined) parts.push(u32Attribute(IFLA.mtu, change.mtuBytes));
  if (change.mac !== undefined) parts.push(attribute(IFLA.address, macToBytes(change.mac)));
  if (change.master !== undefined) parts.push(u32Attribute(IFLA.master, change.master));
  if (change.netns !== undefined) parts.push(u32Attribute(IFLA.netnsFd, change.netns));
  // NEWLINK without CREATE, as ip-link sends it: SETLINK ignores a name to look up on old kernels.
  return encodeMessage(typeof link === 'string' ? RTM_NEWLINK : RTM_SETLINK, 0, ...parts);
}

/** A message that deletes a link; a veth takes its peer along. */
export function deleteLink(link: number | string): Buffer {
  if (typeof link === 'number') return encodeMessage(RTM_DELLINK, 0, linkHeader(link));
  return encodeMessage(RTM_DELLINK, 0, linkHeader(0), textAttribute(IFLA.name, link));
}

export interface AddressEntry {
  /** `10.244.1.10/32`, `fd00::1/64`. */
  readonly address: string;
  readonly index: number;
}

/**
 * A message that adds an address. IPv4 prefixes to /30 get their broadcast address, IPv6 addresses
 * are usable at once (no duplicate detection: the lab decides who has which).
 */
export function addAddress(entry: AddressEntry): Buffer {
  return addressMessage(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, entry);
}

/** A message that removes an address. */
export function deleteAddress(entry: AddressEntry): Buffer {
  return addressMessage(RTM_DELADDR, 0, entry);
}

export interface RouteEntry {
  /** CIDR, an address alone, or `default` (IPv4 unless `via` or `source` is IPv6). */
  readonly to: string;
  readonly via?: string;
  /** Index of the outgoing link. */
  readonly index?: number;
  readonly type?: keyof typeof ROUTE_TYPES;
  readonly scope?: keyof typeof SCOPES;
  /** Preferred source address. */
  readonly source?: string;
  /** Default: `main`, and `local` for type local. */
  readonly table?: number;
  /** The gateway counts as being on the link though no route says so. */
  readonly isOnlink?: boolean;
  readonly metric?: number;
}

/** A message that adds a route; EEXIST when it is there, unless `replace`. */
export function addRoute(route: RouteEntry, options: { readonly replace?: boolean } = {}): Buffer {
  const flags = NLM_F_CREATE | (options.replace ? NLM_F_REPLACE : NLM_F_EXCL);
  return routeMessage(RTM_NEWROUTE, flags, route);
}

/** A message that deletes a route; ESRCH when there is none. */
export function deleteRoute(route: RouteEntry): Buffer {
  const scope = route.scope ?? (route.type === 'local' ? 'host' : 'nowhere');
  return routeMessage(RTM_DELROUTE, 0, { ...route, scope });
}

export interface RuleEntry {
  readonly family: 'ipv4' | 'ipv6';
  readonly priority?: number;
  /** 0 with `goto`. */
  readonly table: number;
  /** Priority of the rule to go on at, instead of a table. */
  readonly goto?: number;
  readonly mark?: number;
  /** Bits of the mark that count; default all. */
  readonly mask?: number;
  readonly from?: string;
  readonly to?: string;
  readonly incoming?: string;
  readonly outgoing?: string;
  /** `not`: the rule is for what does not match. */
  readonly isInverted?: boolean;
}

/** A message that adds a rule of policy routing; EEXIST when the same one is there. */
export function addRule(rule: RuleEntry): Buffer {
  return ruleMessage(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

/** A message that deletes the first rule that matches; ENOENT when there is none. */
export function deleteRule(rule: RuleEntry): Buffer {
  return ruleMessage(RTM_DELRULE, 0, rule);
}

/** struct ifinfomsg: the link by index (0: none yet), its flags and which of them change. */
export function linkHeader(index: number, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

/** Name, MAC, MTU and netns of a link that is to be made. */
export function endAttributes(end: VethEnd): Buffer[] {
  const parts = [textAttribute(IFLA.name, end.name)];
  if (end.mac !== undefined) parts.push(attribute(IFLA.address, macToBytes(end.mac)));
  if (end.mtuBytes !== undefined) parts.push(u32Attribute(IFLA.mtu, end.mtuBytes));
  if (end.netns !== undefined) parts.push(u32Attribute(IFLA.netnsFd, end.netns));
  return parts;
}

function macToBytes(mac: string): Buffer {
  const bytes = Buffer.from(mac.replaceAll(':', ''), 'hex');
  if (bytes.length !== 6) throw new RangeError(`Cannot read "${mac}": wished a MAC address`);
  return bytes;
}

/** struct ndmsg, NDA_DST, NDA_LLADDR. */
function neighbourMessage(
  family: number,
  index: number,
  flags: number,
  destination: Buffer,
  mac: string,
): Buffer {
  const header = Buffer.alloc(12);
  header[0] = family;
  header.writeInt32LE(index, 4);
  header.writeUInt16LE(NUD_PERMANENT, 8);
  header[10] = flags;
  const parts = [header, attribute(1, destination), attribute(2, macToBytes(mac))];
  return encodeMessage(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ...parts);
}

function addressMessage(type: number, flags: number, entry: AddressEntry): Buffer {
  const { bytes, prefixLength } = prefixToBytes(entry.address);
  const isV4 = bytes.length === 4;
  // struct ifaddrmsg: family, prefix length, flags, scope, index.
  const header = Buffer.from([isV4 ? AF_INET : AF_INET6, prefixLength, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(entry.index, 4);
  if (!isV4) header[2] = IFA_F_NODAD;
  const parts = [header, attribute(2, bytes), attribute(1, bytes)];
  if (isV4 && prefixLength <= 30) parts.push(attribute(4, broadcastOf(bytes, prefixLength)));
  return encodeMessage(type, flags, ...parts);
}

function broadcastOf(address: Buffer, prefixLength: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((address.readUInt32BE(0) | (0xffffffff >>> prefixLength)) >>> 0);
  return bytes;
}

function routeMessage(type: number, flags: number, route: RouteEntry): Buffer {
  const to = destinationOf(route);
  const kind = route.type ?? 'unicast';
  const isV4 = to.bytes.length === 4;
  const isDirect = isV4 && kind === 'unicast' && route.via === undefined;
  const scope = route.scope ?? (kind === 'local' ? 'host' : isDirect ? 'link' : 'global');
  const table = route.table ?? (kind === 'local' ? LOCAL_TABLE : MAIN_TABLE);
  // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
  const header = Buffer.alloc(12);
  header[0] = isV4 ? AF_INET : AF_INET6;
  header[1] = to.prefixLength;
  header[4] = table < 256 ? table : TABLE_COMPAT;
  header[5] = RTPROT_BOOT;
  header[6] = SCOPES[scope];
  header[7] = ROUTE_TYPES[kind];
  header.writeUInt32LE(route.isOnlink ? RTNH_F_ONLINK : 0, 8);
  const parts = [header, u32Attribute(15, table)];
  if (to.prefixLength > 0) parts.push(attribute(1, to.bytes));
  if (route.index !== undefined) parts.push(u32Attribute(4, route.index));
  if (route.via !== undefined) parts.push(attribute(5, ipToBytes(route.via)));
  if (route.metric !== undefined) parts.push(u32Attribute(6, route.metric));
  if (route.source !== undefined) parts.push(attribute(7, ipToBytes(route.source)));
  return encodeMessage(type, flags, ...parts);
}

function destinationOf(route: RouteEntry): { bytes: Buffer; prefixLength: number } {
  if (route.to !== 'default') return prefixToBytes(route.to);
  const isV6 = (route.via ?? route.source ?? '').includes(':');
  return { bytes: Buffer.alloc(isV6 ? 16 : 4), prefixLength: 0 };
}

function ruleMessage(type: number, flags: number, rule: RuleEntry): Buffer {
  const from = rule.from === undefined ? undefined : prefixToBytes(rule.from);
  const to = rule.to === undefined ? undefined : prefixToBytes(rule.to);
  // struct fib_rule_hdr: family, dst_len, src_len, tos, table, -, -, action, flags.
  const header = Buffer.alloc(12);
  header[0] = rule.family === 'ipv4' ? AF_INET : AF_INET6;
  header[1] = to?.prefixLength ?? 0;
  header[2] = from?.prefixLength ?? 0;
  header[4] = rule.table < 256 ? rule.table : TABLE_COMPAT;
  header[7] = rule.goto === undefined ? FR_ACT_TO_TBL : FR_ACT_GOTO;
  header.writeUInt32LE(rule.isInverted ? FIB_RULE_INVERT : 0, 8);
  const parts = [header, u32Attribute(15, rule.table)];
  if (to) parts.push(attribute(1, to.bytes));
  if (from) parts.push(attribute(2, from.bytes));
  if (rule.goto !== undefined) parts.push(u32Attribute(4, rule.goto));
  if (rule.incoming !== undefined) parts.push(textAttribute(3, rule.incoming));
  if (rule.priority !== undefined) parts.push(u32Attribute(6, rule.priority));
  if (rule.mark !== undefined) parts.push(u32Attribute(10, rule.mark));
  if (rule.mask !== undefined) parts.push(u32Attribute(16, rule.mask));
  if (rule.outgoing !== undefined) parts.push(textAttribute(17, rule.outgoing));
  return encodeMessage(type, flags, ...parts);
}
