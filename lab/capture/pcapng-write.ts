import { isIPv4 } from 'node:net';
import { parseIpv4, parseIpv6 } from '../../dataplane/wire/ip-address.ts';
import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  LINK_TYPE,
  MARK_COMMENT,
  OPTION,
  PACKET_DIRECTION,
  TLS_KEY_LOG,
} from './pcapng.ts';

export interface NewInterface {
  /** `<netns>/<ifname>`. */
  readonly name: string;
  readonly description?: string;
  readonly mac?: string;
  readonly linkType?: number;
  /** 0 for no limit. */
  readonly snapLength?: number;
}

export interface NewPacket {
  readonly interfaceId: number;
  readonly timeNs: bigint;
  /** What was captured. */
  readonly data: Uint8Array;
  /** Length on the wire, if more. */
  readonly originalBytes?: number;
  readonly direction?: keyof typeof PACKET_DIRECTION;
  readonly mark?: number;
  readonly comments?: readonly string[];
}

/**
 * What a capture file begins with: section, secrets, names, interfaces. Secrets stand first
 * because Wireshark uses them only for what comes after.
 */
export interface PcapngHead {
  readonly application?: string;
  readonly comment?: string;
  /** NSS key log text. */
  readonly keyLog?: string;
  readonly names?: Iterable<readonly [address: string, name: string]>;
  readonly interfaces: readonly NewInterface[];
}

/** The first blocks of a file; packets name interfaces by their place in `head.interfaces`. */
export function encodePcapngHead(head: PcapngHead): Buffer {
  const names = [...(head.names ?? [])];
  return Buffer.concat([
    encodeSection(head),
    ...(head.keyLog ? [encodeSecrets(head.keyLog)] : []),
    ...(names.length > 0 ? [encodeNames(names)] : []),
    ...head.interfaces.map(encodeInterface),
  ]);
}

function encodeSection(head: PcapngHead): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  fixed.writeUInt16LE(1, 4);
  fixed.writeBigInt64LE(-1n, 8);
  const options: Option[] = [];
  if (head.comment) options.push([OPTION.comment, Buffer.from(head.comment)]);
  if (head.application) options.push([OPTION.sectionApplication, Buffer.from(head.application)]);
  return encodeBlock(BLOCK.section, fixed, options);
}

/** A Decryption Secrets Block with an NSS key log. */
export function encodeSecrets(keyLog: string): Buffer {
  const text = Buffer.from(keyLog);
  const fixed = Buffer.alloc(8);
  fixed.writeUInt32LE(TLS_KEY_LOG, 0);
  fixed.writeUInt32LE(text.length, 4);
  return encodeBlock(BLOCK.secrets, Buffer.concat([fixed, padded(text)]), []);
}

/** A Name Resolution Block: what Wireshark calls these addresses. */
export function encodeNames(names: Iterable<readonly [address: string, name: string]>): Buffer {
  const records: Buffer[] = [];
  for (const [address, name] of names) {
    const isIp4 = isIPv4(address);
    const value = Buffer.concat([
      isIp4 ? parseIpv4(address) : parseIpv6(address),
      Buffer.from(`${name}\0`),
    ]);
    records.push(encodeOption([isIp4 ? 1 : 2, value]));
  }
  return encodeBlock(BLOCK.names, Buffer.concat([...records, Buffer.alloc(4)]), []);
}

function encodeInterface(description: NewInterface): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(description.linkType ?? LINK_TYPE.ethernet, 0);
  fixed.writeUInt32LE(description.snapLength ?? 0, 4);
  const options: Option[] = [[OPTION.interfaceName, Buffer.from(description.name)]];
  if (description.description) {
    options.push([OPTION.interfaceDescription, Buffer.from(description.description)]);
  }
  if (description.mac) {
    options.push([OPTION.interfaceMac, Buffer.from(description.mac.replaceAll(':', ''), 'hex')]);
  }
  // Ten to the minus ninth: nanoseconds.
  options.push([OPTION.interfaceResolution, Buffer.from([9])]);
  return encodeBlock(BLOCK.interface, fixed, options);
}

/** An Enhanced Packet Block with nanosecond time. */
export function encodePacket(packet: NewPacket): Buffer {
  const { data } = packet;
  const fixed = Buffer.alloc(20);
  fixed.writeUInt32LE(packet.interfaceId, 0);
  fixed.writeUInt32LE(Number(packet.timeNs >> 32n), 4);
  fixed.writeUInt32LE(Number(packet.timeNs & 0xffffffffn), 8);
  fixed.writeUInt32LE(data.length, 12);
  fixed.writeUInt32LE(packet.originalBytes ?? data.length, 16);
  const options: Option[] = [];
  if (packet.direction) {
    const flags = Buffer.alloc(4);
    flags.writeUInt32LE(PACKET_DIRECTION[packet.direction], 0);
    options.push([OPTION.packetFlags, flags]);
  }
  if (packet.mark) {
    options.push([OPTION.comment, Buffer.from(MARK_COMMENT + packet.mark.toString(16))]);
  }
  for (const comment of packet.comments ?? []) {
    options.push([OPTION.comment, Buffer.from(comment)]);
  }
  return encodeBlock(BLOCK.enhancedPacket, Buffer.concat([fixed, padded(data)]), options);
}

/** An Interface Statistics Block: frames received, and dropped before they were read. */
export function encodeStatistics(
  interfaceId: number,
  timeNs: bigint,
  received: bigint,
  dropped: bigint,
): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeUInt32LE(interfaceId, 0);
  fixed.writeUInt32LE(Number(timeNs >> 32n), 4);
  fixed.writeUInt32LE(Number(timeNs & 0xffffffffn), 8);
  return encodeBlock(BLOCK.statistics, fixed, [
    [OPTION.statisticsReceived, uint64(received)],
    [OPTION.statisticsDropped, uint64(dropped)],
  ]);
}

type Option = readonly [code: number, value: Buffer];

function encodeBlock(type: number, body: Buffer, options: readonly Option[]): Buffer {
  const optionBytes =
    options.length > 0 ? Buffer.concat([...options.map(encodeOption), Buffer.alloc(4)]) : EMPTY;
  const length = 12 + body.length + optionBytes.length;
  const block = Buffer.alloc(length);
  block.writeUInt32LE(type, 0);
  block.writeUInt32LE(length, 4);
  body.copy(block, 8);
  optionBytes.copy(block, 8 + body.length);
  block.writeUInt32LE(length, length - 4);
  return block;
}

function encodeOption([code, value]: Option): Buffer {
  const option = Buffer.alloc(4 + paddedLength(value.length));
  option.writeUInt16LE(code, 0);
  option.writeUInt16LE(value.length, 2);
  value.copy(option, 4);
  return option;
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value, 0);
  return bytes;
}

function padded(bytes: Uint8Array): Buffer {
  const copy = Buffer.alloc(paddedLength(bytes.length));
  copy.set(bytes);
  return copy;
}

function paddedLength(length: number): number {
  return (length + 3) & ~3;
}

const EMPTY = Buffer.alloc(0);
