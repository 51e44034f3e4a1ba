import {
  messageField,
  ProtobufError,
  readFields,
  readString,
  stringField,
  varintField,
} from './protobuf.ts';
import type { ProtobufField } from './protobuf.ts';

/**
 * The messages between node agent and ztunnel: istio/istio `pkg/zdsapi/zds.proto`, package
 * `istio.workload.zds`. One bare message a SOCK_SEQPACKET packet; the network namespace of an Add
 * rides beside it as SCM_RIGHTS. Unknown fields are skipped, later occurrences win or merge.
 */

/** `Version.V1`, the only version there is. */
export const ZDS_VERSION_V1 = 1;

/** Size of ztunnel's read buffer: a longer packet is a read error there (`src/inpod/packet.rs`). */
export const ZDS_MAX_PACKET_BYTES = 1024;

export interface ZdsHello {
  /** 0 (NOT_USED) when the sender said nothing. */
  readonly version: number;
}

export interface WorkloadInfo {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export type WorkloadRequest =
  | { readonly kind: 'add'; readonly uid: string; readonly workloadInfo?: WorkloadInfo }
  | { readonly kind: 'del'; readonly uid: string }
  | { readonly kind: 'keep'; readonly uid: string }
  | { readonly kind: 'snapshotSent' };

/** The one answer to each request; an empty `error` is success. */
export interface WorkloadResponse {
  readonly kind: 'ack';
  readonly error: string;
}

/** A packet that is not the ZDS message it should be. */
export class ZdsError extends Error {
  override readonly name = 'ZdsError';
  readonly code = 'DATAPLANE_ZDS_INVALID';
  readonly zdsMessage: string;

  constructor(message: string, reason: string, cause?: unknown) {
    super(`Cannot decode ZDS ${message}: ${reason}`, cause === undefined ? {} : { cause });
    this.zdsMessage = message;
  }
}

const REQUEST = { add: 1, del: 2, snapshotSent: 3, keep: 5 } as const;

/** Bytes of `ZdsHello`; `08 01` for V1. */
export function encodeHello(hello: ZdsHello = { version: ZDS_VERSION_V1 }): Buffer {
  return varintField(1, hello.version);
}

/** @throws {ZdsError} when the packet is no `ZdsHello` */
export function decodeHello(packet: Uint8Array): ZdsHello {
  return decoding('ZdsHello', () => {
    let version = 0;
    for (const field of readFields(packet)) {
      if (field.number === 1) version = enumOf('ZdsHello', field);
    }
    return { version };
  });
}

/** Bytes of `WorkloadRequest`, agent → ztunnel. */
export function encodeWorkloadRequest(request: WorkloadRequest): Buffer {
  switch (request.kind) {
    case 'add': {
      const info = request.workloadInfo;
      const content = [stringField(1, request.uid)];
      if (info !== undefined) content.push(messageField(2, encodeInfo(info)));
      return messageField(REQUEST.add, Buffer.concat(content));
    }
    case 'del':
      // `uid` is field 2 of DelWorkload, alone among the messages.
      return messageField(REQUEST.del, stringField(2, request.uid));
    case 'keep':
      return messageField(REQUEST.keep, stringField(1, request.uid));
    case 'snapshotSent':
      return messageField(REQUEST.snapshotSent, Buffer.alloc(0));
  }
}

/**
 * A request as ztunnel reads it. `workloadInfo` stays absent when it was not sent, which ztunnel
 * treats as a protocol error rather than as bad bytes.
 * @throws {ZdsError} when the packet is no `WorkloadRequest` or has no payload known here
 */
export function decodeWorkloadRequest(packet: Uint8Array): WorkloadRequest {
  return decoding('WorkloadRequest', () => {
    const payload = oneof('WorkloadRequest', packet, Object.values(REQUEST));
    switch (payload.number) {
      case REQUEST.add:
        return decodeAdd(payload.content);
      case REQUEST.del:
        return { kind: 'del', uid: textField('DelWorkload', payload.content, 2) };
      case REQUEST.keep:
        return { kind: 'keep', uid: textField('KeepWorkload', payload.content, 1) };
      default:
        readFields(payload.content);
        return { kind: 'snapshotSent' };
    }
  });
}

/** Bytes of `WorkloadResponse`, ztunnel → agent; `0a 00` for success. */
export function encodeWorkloadResponse(
  response: WorkloadResponse = { kind: 'ack', error: '' },
): Buffer {
  return messageField(1, stringField(1, response.error));
}

/** @throws {ZdsError} when the packet is no `WorkloadResponse` or acknowledges nothing */
export function decodeWorkloadResponse(packet: Uint8Array): WorkloadResponse {
  return decoding('WorkloadResponse', () => {
    const { content } = oneof('WorkloadResponse', packet, [1]);
    return { kind: 'ack', error: textField('Ack', content, 1) };
  });
}

function encodeInfo(info: WorkloadInfo): Buffer {
  return Buffer.concat([
    stringField(1, info.name),
    stringField(2, info.namespace),
    stringField(3, info.serviceAccount),
  ]);
}

function decodeAdd(content: Uint8Array): WorkloadRequest {
  const info = mergedMessage('AddWorkload', content, 2);
  const uid = textField('AddWorkload', content, 1);
  if (info === undefined) return { kind: 'add', uid };
  const workloadInfo = {
    name: textField('WorkloadInfo', info, 1),
    namespace: textField('WorkloadInfo', info, 2),
    serviceAccount: textField('WorkloadInfo', info, 3),
  };
  return { kind: 'add', uid, workloadInfo };
}

/** The last member set of a oneof; the same member sent again merges, which is concatenation. */
function oneof(
  message: string,
  packet: Uint8Array,
  members: readonly number[],
): { readonly number: number; readonly content: Uint8Array } {
  let member = 0;
  let parts: Uint8Array[] = [];
  for (const field of readFields(packet)) {
    if (!members.includes(field.number)) continue;
    if (field.number !== member) parts = [];
    member = field.number;
    parts.push(bytesOf(message, field));
  }
  if (member === 0) throw new ZdsError(message, 'no payload that is known here');
  return { number: member, content: Buffer.concat(parts) };
}

function mergedMessage(
  message: string,
  content: Uint8Array,
  number: number,
): Uint8Array | undefined {
  const parts = readFields(content)
    .filter((field) => field.number === number)
    .map((field) => bytesOf(message, field));
  return parts.length === 0 ? undefined : Buffer.concat(parts);
}

function textField(message: string, content: Uint8Array, number: number): string {
  let text = '';
  for (const field of readFields(content)) {
    if (field.number === number) text = readString(bytesOf(message, field));
  }
  return text;
}

function bytesOf(message: string, field: ProtobufField): Uint8Array {
  if (field.kind === 'bytes') return field.value;
  throw new ZdsError(message, `field ${field.number} is ${field.kind}, not length-delimited`);
}

function enumOf(message: string, field: ProtobufField): number {
  if (field.kind === 'varint') return Number(BigInt.asIntN(32, field.value));
  throw new ZdsError(message, `field ${field.number} is ${field.kind}, not a varint`);
}

function decoding<T>(message: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtobufError) throw new ZdsError(message, error.message, error);
    throw error;
  }
}
