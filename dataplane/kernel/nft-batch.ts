import type { NetlinkSocket } from './netlink.ts';
import { NetlinkError } from './netlink.ts';
import {
  decodeMessages,
  encodeMessage,
  HEADER_BYTES,
  NLM_F_ACK,
  NLMSG_ERROR,
} from './netlink-message.ts';

/** `NFNL_MSG_BATCH_*` (include/uapi/linux/netfilter/nfnetlink.h). */
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
/** struct nfgenmsg: family, version, resource id. */
const NFGENMSG_BYTES = 4;

/** `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GET*` (include/uapi/linux/netfilter/nf_tables.h). */
const GET_TABLE = 0x0a01;
const GET_CHAIN = 0x0a04;
const GET_RULE = 0x0a07;
const GET_SET = 0x0a0a;

/** A transaction of nf_tables that can be sent again, to any netns that is as the first one was. */
export interface NftBatch {
  readonly bytes: Buffer;
  /** Messages that the kernel acks. */
  readonly acks: number;
}

/**
 * A batch as a program sent it, made to be sent again: every change asks for an ack, and the number
 * of the ruleset that it was made for (NFNL_BATCH_GENID) is gone.
 */
export function toNftBatch(sent: Buffer): NftBatch {
  const parts: Buffer[] = [];
  let acks = 0;
  for (const { type, flags, body } of decodeMessages(sent)) {
    const isControl = type === BATCH_BEGIN || type === BATCH_END;
    const kept = type === BATCH_BEGIN ? body.subarray(0, NFGENMSG_BYTES) : body;
    parts.push(encodeMessage(type, isControl ? flags : flags | NLM_F_ACK, kept));
    if (!isControl) acks += 1;
  }
  let sequence = 0;
  for (const part of parts) part.writeUInt32LE((sequence += 1), 8);
  return { bytes: Buffer.concat(parts), acks };
}

/**
 * Carries out a transaction in the netns that a `netfilter` socket speaks to: all of it, or nothing
 * has changed.
 * @throws {NetlinkError} for the first change that was refused
 */
export function sendNftBatch(socket: NetlinkSocket, { bytes, acks }: NftBatch): void {
  for (const { type, sequence, body } of socket.exchange(bytes, acks)) {
    const errno = type === NLMSG_ERROR && body.length >= 4 ? -body.readInt32LE(0) : 0;
    if (errno !== 0) throw new NetlinkError(errno, undefined, sequence - 1);
  }
}

/**
 * Everything nf_tables holds in the netns that a `netfilter` socket speaks to (tables, chains, rules
 * and sets, counters and handles included) as bytes: equal for two namespaces that have the same.
 * Empty when there is no table.
 * @throws {NetlinkError} EOPNOTSUPP where the kernel has no nf_tables
 */
export function dumpNftRuleset(socket: NetlinkSocket): Buffer {
  const parts: Buffer[] = [];
  for (const get of [GET_TABLE, GET_CHAIN, GET_RULE, GET_SET]) {
    for (const { type, body } of socket.dump(encodeMessage(get, 0, Buffer.alloc(NFGENMSG_BYTES)))) {
      const head = Buffer.alloc(HEADER_BYTES);
      head.writeUInt32LE(body.length);
      head.writeUInt32LE(type, 4);
      // The resource id is the number of the ruleset, which grows with each transaction.
      body.writeUInt16LE(0, 2);
      parts.push(head, body);
    }
    // No table, nothing in it.
    if (parts.length === 0) break;
  }
  return Buffer.concat(parts);
}
