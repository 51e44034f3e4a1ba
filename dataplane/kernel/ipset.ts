import { ipToBytes } from './ip-bytes.ts';
import { attribute, encodeMessage, nested, textAttribute } from './netlink-message.ts';

/** `NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_ADD` (include/uapi/linux/netfilter/ipset/ip_set.h). */
const ADD = 0x0609;
/** Oldest protocol that kernels speak. */
const PROTOCOL = 6;
/** `IPSET_ATTR_*` of a command. */
const ATTR_PROTOCOL = 1;
const ATTR_SETNAME = 2;
const ATTR_DATA = 7;
/** `IPSET_ATTR_*` of an element. */
const ATTR_IP = 1;
const ATTR_IPADDR_IPV4 = 1;
const ATTR_IPADDR_IPV6 = 2;
const ATTR_COMMENT = 26;
const NLA_F_NET_BYTEORDER = 0x4000;
/** `NFPROTO_*`: struct nfgenmsg begins with one; version and resource id are 0. */
const NFPROTO_IPV4 = 2;
const NFPROTO_IPV6 = 10;

/**
 * `ipset add <set> <address> comment <comment> -exist` as a netlink message: the address is in the
 * set afterwards, with this comment, whatever was there.
 */
export function addToIpset(set: string, address: string, comment: string): Buffer {
  const bytes = ipToBytes(address);
  const isIpv6 = bytes.length === 16;
  const kind = (isIpv6 ? ATTR_IPADDR_IPV6 : ATTR_IPADDR_IPV4) | NLA_F_NET_BYTEORDER;
  return encodeMessage(
    ADD,
    0,
    Buffer.from([isIpv6 ? NFPROTO_IPV6 : NFPROTO_IPV4, 0, 0, 0]),
    attribute(ATTR_PROTOCOL, Buffer.from([PROTOCOL])),
    textAttribute(ATTR_SETNAME, set),
    nested(
      ATTR_DATA,
      nested(ATTR_IP, attribute(kind, bytes)),
      textAttribute(ATTR_COMMENT, comment),
    ),
  );
}
