/** Flags of netlink messages, from include/uapi/linux/netlink.h. */
export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

/** Types every netlink family has. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

/** Bytes of struct nlmsghdr: length, type, flags, sequence, port. */
export const HEADER_BYTES = 16;

const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

/** A decoded message; `body` is what follows the header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

/** A message without sequence number: `NetlinkSocket` puts that in. Its length is a multiple of 4. */
export function encodeMessage(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const message = Buffer.alloc(align(HEADER_BYTES + body.length));
  message.writeUInt32LE(HEADER_BYTES + body.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  body.copy(message, HEADER_BYTES);
  return message;
}

/** One attribute, padded. */
export function attribute(type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(4 + payload.length));
  bytes.writeUInt16LE(4 + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, 4);
  return bytes;
}

/** An attribute that holds attributes. */
export function nested(type: number, ...children: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(children));
}

/** A 32-bit attribute in the byte order of the machine (rtnetlink). */
export function u32Attribute(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32LE(value >>> 0);
  return attribute(type, payload);
}

/** A NUL-terminated string attribute. */
export function textAttribute(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`));
}

/**
 * The messages of what was read from a netlink socket, up to the first that is cut short: bodies are
 * views, nothing is copied.
 */
export function* decodeMessages(bytes: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > bytes.length) return;
    yield {
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      body: bytes.subarray(at + HEADER_BYTES, at + length),
    };
    at += align(length);
  }
}

/** Attributes by type (flags cut off), the last one of a type winning; stops at the first cut short. */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

/** Text of a NUL-terminated attribute. */
export function attributeText(payload: Buffer): string {
  const end = payload.indexOf(0);
  return payload.toString('utf8', 0, end < 0 ? payload.length : end);
}

/** 32-bit value of an attribute in the machine's byte order; 0 when absent or too short. */
export function attributeU32(payload: Buffer | undefined): number {
  return payload && payload.length >= 4 ? payload.readUInt32LE(0) : 0;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
