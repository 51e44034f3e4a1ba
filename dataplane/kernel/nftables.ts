import type { NetlinkSocket } from './netlink.ts';
import { attributeText, decodeAttributes, encodeMessage } from './netlink-message.ts';

/** A table of nf_tables; `family` as in `nft list tables`, a number where nft has no word. */
export interface NftTableName {
  readonly family: string;
  readonly name: string;
}

/** `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_*` (include/uapi/linux/netfilter/nf_tables.h). */
const NEW_TABLE = 0x0a00;
const GET_TABLE = 0x0a01;
const NFTA_TABLE_NAME = 1;

/** `NFPROTO_*` (include/uapi/linux/netfilter.h). */
const FAMILIES: ReadonlyMap<number, string> = new Map([
  [1, 'inet'],
  [2, 'ip'],
  [3, 'arp'],
  [5, 'netdev'],
  [7, 'bridge'],
  [10, 'ip6'],
]);

/**
 * Tables of nf_tables in the netns that a `netfilter` socket speaks to; those that iptables' nft
 * backend made are `ip` and `ip6`. Takes no process.
 * @throws {NetlinkError} EOPNOTSUPP where the kernel has no nf_tables
 */
export function listNftTables(socket: NetlinkSocket): NftTableName[] {
  // struct nfgenmsg: family (0: all), version, resource id.
  const answers = socket.dump(encodeMessage(GET_TABLE, 0, Buffer.alloc(4)));
  return answers.flatMap(({ type, body }) => {
    if (type !== NEW_TABLE) return [];
    const family = body[0] ?? 0;
    const name = decodeAttributes(body.subarray(4)).get(NFTA_TABLE_NAME);
    if (name === undefined) return [];
    return [{ family: FAMILIES.get(family) ?? String(family), name: attributeText(name) }];
  });
}
