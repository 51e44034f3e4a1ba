import { bytesToIp } from './ip-bytes.ts';
import type { NetlinkSocket } from './netlink.ts';
import { decodeAttributes, encodeMessage, type NetlinkMessage } from './netlink-message.ts';

/** An address of a link, of include/uapi/linux/if_addr.h. */
export interface AddressListEntry {
  /** With prefix length: `10.244.1.10/32`. */
  readonly address: string;
  readonly index: number;
  /** `RT_SCOPE_*`: 0 global, 253 link, 254 host. */
  readonly scope: number;
}

const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const AF_INET = 2;
const AF_INET6 = 10;
const HEADER_BYTES = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/** Addresses of every link of one family in the netns the socket speaks to. */
export function listAddresses(socket: NetlinkSocket, family: 'ipv4' | 'ipv6'): AddressListEntry[] {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = family === 'ipv4' ? AF_INET : AF_INET6;
  return socket
    .dump(encodeMessage(RTM_GETADDR, 0, header))
    .flatMap((message) => decodeAddress(message) ?? []);
}

function decodeAddress({ type, body }: NetlinkMessage): AddressListEntry | undefined {
  if (type !== RTM_NEWADDR || body.length < HEADER_BYTES) return undefined;
  const attributes = decodeAttributes(body.subarray(HEADER_BYTES));
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (!bytes) return undefined;
  return {
    address: `${bytesToIp(bytes)}/${body[1]}`,
    index: body.readUInt32LE(4),
    scope: body[3] ?? 0,
  };
}
