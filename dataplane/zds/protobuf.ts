/**
 * A reader and a writer for the few protobuf features that ZDS needs (proto3 wire format,
 * protobuf.dev/programming-guides/encoding): varints, length-delimited fields, and skipping whatever
 * is unknown. The bytes written are those of prost and Go: fields in order of number, defaults left out.
 */

export type ProtobufFault =
  | 'truncated'
  | 'varint-too-long'
  | 'bad-tag'
  | 'bad-wire-type'
  | 'bad-utf8'
  | 'group-mismatch'
  | 'nested-too-deep';

/** Bytes that are no protobuf message, with the offset at which that became certain. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
  readonly code = 'DATAPLANE_PROTOBUF_INVALID';
  readonly fault: ProtobufFault;
  readonly offset: number;

  constructor(fault: ProtobufFault, offset: number) {
    super(`Cannot decode protobuf message: ${fault} at byte ${offset}`);
    this.fault = fault;
    this.offset = offset;
  }
}

/** One field as it stands on the wire; fixed-width and group fields carry no value: ZDS has none. */
export type ProtobufField =
  | { readonly number: number; readonly kind: 'varint'; readonly value: bigint }
  | { readonly number: number; readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly number: number; readonly kind: 'skipped' };

/** prost and Go both refuse messages nested deeper than this. */
const MAX_GROUP_DEPTH = 100;
const MAX_FIELD_NUMBER = 536_870_911;
const WIRE = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const;

interface Cursor {
  readonly bytes: Uint8Array;
  offset: number;
}

/**
 * All fields of one message in wire order. Byte values are views into `bytes`.
 * @throws {ProtobufError} when the bytes are no message
 */
export function readFields(bytes: Uint8Array): readonly ProtobufField[] {
  const cursor: Cursor = { bytes, offset: 0 };
  const fields: ProtobufField[] = [];
  while (cursor.offset < bytes.length) {
    const tag = readTag(cursor);
    if (tag.wire === WIRE.varint) {
      fields.push({ number: tag.number, kind: 'varint', value: readVarint(cursor) });
    } else if (tag.wire === WIRE.bytes) {
      fields.push({ number: tag.number, kind: 'bytes', value: readBytes(cursor) });
    } else {
      skip(cursor, tag.number, tag.wire);
      fields.push({ number: tag.number, kind: 'skipped' });
    }
  }
  return fields;
}

/**
 * Text of a length-delimited field.
 * @throws {ProtobufError} `bad-utf8`: proto3 strings must be UTF-8
 */
export function readString(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ProtobufError('bad-utf8', 0);
  }
}

/** A varint field; nothing for 0, which proto3 leaves out. */
export function varintField(number: number, value: number): Buffer {
  if (value === 0) return Buffer.alloc(0);
  return Buffer.concat([encodeVarint(number * 8 + WIRE.varint), encodeVarint(value)]);
}

/** A string field; nothing for '', which proto3 leaves out. */
export function stringField(number: number, value: string): Buffer {
  return value === '' ? Buffer.alloc(0) : messageField(number, Buffer.from(value, 'utf8'));
}

/** A length-delimited field, written even when empty: an empty message differs from an absent one. */
export function messageField(number: number, content: Uint8Array): Buffer {
  const tag = encodeVarint(number * 8 + WIRE.bytes);
  return Buffer.concat([tag, encodeVarint(content.length), content]);
}

function encodeVarint(value: number): Buffer {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Buffer.from(out);
}

function readTag(cursor: Cursor): { readonly number: number; readonly wire: number } {
  const start = cursor.offset;
  const key = readVarint(cursor);
  const number = Number(key >> 3n);
  if (key > 0xffff_ffffn || number === 0 || number > MAX_FIELD_NUMBER) {
    throw new ProtobufError('bad-tag', start);
  }
  return { number, wire: Number(key & 7n) };
}

function readVarint(cursor: Cursor): bigint {
  const start = cursor.offset;
  let value = 0n;
  for (let index = 0; index < 10; index += 1) {
    const byte = cursor.bytes[cursor.offset];
    if (byte === undefined) throw new ProtobufError('truncated', cursor.offset);
    cursor.offset += 1;
    value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) {
      if (value > 0xffff_ffff_ffff_ffffn) throw new ProtobufError('varint-too-long', start);
      return value;
    }
  }
  throw new ProtobufError('varint-too-long', start);
}

function readBytes(cursor: Cursor): Uint8Array {
  const start = cursor.offset;
  const length = readVarint(cursor);
  if (length > BigInt(cursor.bytes.length - cursor.offset)) {
    throw new ProtobufError('truncated', start);
  }
  const end = cursor.offset + Number(length);
  const value = cursor.bytes.subarray(cursor.offset, end);
  cursor.offset = end;
  return value;
}

/** Passes over a field of a type that ZDS does not use; a group with everything inside it. */
function skip(cursor: Cursor, number: number, wire: number): void {
  const open: number[] = [];
  let tag = { number, wire };
  for (;;) {
    if (tag.wire === WIRE.groupStart) {
      open.push(tag.number);
      if (open.length > MAX_GROUP_DEPTH) throw new ProtobufError('nested-too-deep', cursor.offset);
    } else if (tag.wire === WIRE.groupEnd) {
      if (open.pop() !== tag.number) throw new ProtobufError('group-mismatch', cursor.offset);
    } else skipScalar(cursor, tag.wire);
    if (open.length === 0) return;
    tag = readTag(cursor);
  }
}

function skipScalar(cursor: Cursor, wire: number): void {
  if (wire === WIRE.varint) readVarint(cursor);
  else if (wire === WIRE.bytes) readBytes(cursor);
  else if (wire === WIRE.fixed32 || wire === WIRE.fixed64) {
    const width = wire === WIRE.fixed32 ? 4 : 8;
    if (cursor.bytes.length - cursor.offset < width) {
      throw new ProtobufError('truncated', cursor.offset);
    }
    cursor.offset += width;
  } else throw new ProtobufError('bad-wire-type', cursor.offset);
}
