import { native } from './addon.ts';
import { asKernelError, kernelCall } from './errors.ts';
import { bytesToIp } from './ip-bytes.ts';
import type { NetlinkSocket } from './netlink.ts';
import {
  decodeAttributes,
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  NLM_F_CREATE,
} from './netlink-message.ts';
import { watchFd } from './poll.ts';
import { closeFd } from './sockets.ts';

/** One direction of a connection, as `ip:port`, `[ip]:port`; port 0 where the protocol has none. */
export interface ConntrackTuple {
  readonly source: string;
  readonly destination: string;
}

/** One entry of a connection tracking table. */
export interface ConntrackEntry {
  /** IP protocol number: 6 TCP, 17 UDP. */
  readonly protocol: number;
  readonly original: ConntrackTuple;
  /** What answers look like: differs from the mirrored original by what NAT did. */
  readonly reply: ConntrackTuple;
  readonly mark: number;
  readonly zone: number;
  /** `IPS_*` bits (include/uapi/linux/netfilter/nf_conntrack_common.h): 8 confirmed, 32 DNAT. */
  readonly status: number;
}

export interface ConntrackChange extends ConntrackEntry {
  readonly event: 'new' | 'update' | 'destroy';
}

export interface ConntrackWatchOptions {
  /** Descriptor of the netns; absent: this process's own. */
  readonly netns?: number;
  readonly onChange: (change: ConntrackChange) => void;
  /** Called when the kernel dropped events since the last: the story has a hole. */
  readonly onOverrun: () => void;
  /** SO_RCVBUFFORCE, default 8 MB. */
  readonly receiveBytes?: number;
}

export interface ConntrackWatch extends Disposable {
  /** Reads what the kernel has ready, now. */
  drain(): void;
}

const NETFILTER = 12;
const NEW = 0x100;
const GET = 0x101;
const DELETE = 0x102;
/** nfnetlink groups NEW, UPDATE, DESTROY (include/uapi/linux/netfilter/nfnetlink_compat.h). */
const GROUPS = [1, 2, 3];
const RECEIVE_BYTES = 8 << 20;
const DATAGRAM_BYTES = 64 << 10;

/**
 * Tells every change of the connection tracking of one netns until disposal. Needs
 * `net.netfilter.nf_conntrack_events` other than 0 there (default 2: on while somebody listens).
 *
 * @throws {KernelError} EPERM, EPROTONOSUPPORT where the kernel has no conntrack netlink
 */
export function watchConntrack(options: ConntrackWatchOptions): ConntrackWatch {
  const fd = kernelCall('listen to connection tracking', () =>
    native.netlinkOpen(
      options.netns ?? -1,
      NETFILTER,
      GROUPS,
      options.receiveBytes ?? RECEIVE_BYTES,
    ),
  );
  const buffer = Buffer.allocUnsafeSlow(DATAGRAM_BYTES);
  let isClosed = false;
  const drain = () => {
    for (let length = isClosed ? 0 : read(fd, buffer, options); length > 0;) {
      for (const message of decodeMessages(buffer.subarray(0, length))) {
        const change = decodeConntrackChange(message);
        if (change) options.onChange(change);
      }
      // A handler may have ended the watch.
      length = isClosed ? 0 : read(fd, buffer, options);
    }
  };
  const watch = watchFd(fd, drain);
  return {
    drain,
    [Symbol.dispose]: () => {
      if (isClosed) return;
      isClosed = true;
      watch[Symbol.dispose]();
      closeFd(fd);
    },
  };
}

function read(fd: number, buffer: Buffer, options: ConntrackWatchOptions): number {
  for (;;) {
    try {
      return native.receiveInto(fd, buffer);
    } catch (error) {
      if ((error as { errnoName?: string }).errnoName !== 'ENOBUFS') {
        throw asKernelError('read connection tracking', error);
      }
      options.onOverrun();
    }
  }
}

/** Every entry of the table of the netns that a `netfilter` socket speaks to, both families. */
export function listConntrack(socket: NetlinkSocket): ConntrackEntry[] {
  // struct nfgenmsg: family (0: both), version, resource id.
  const answers = socket.dump(encodeMessage(GET, 0, Buffer.alloc(4)));
  return answers.flatMap((message) => decodeConntrackChange(message) ?? []);
}

/** The change a message of nfnetlink tells; undefined for other messages and for damaged ones. */
export function decodeConntrackChange(message: NetlinkMessage): ConntrackChange | undefined {
  if (message.type !== NEW && message.type !== DELETE) return undefined;
  const attributes = decodeAttributes(message.body.subarray(4));
  const original = decodeTuple(attributes.get(1));
  const reply = decodeTuple(attributes.get(2));
  if (!original || !reply) return undefined;
  const isNew = (message.flags & NLM_F_CREATE) !== 0;
  return {
    event: message.type === DELETE ? 'destroy' : isNew ? 'new' : 'update',
    protocol: original.protocol,
    original: original.tuple,
    reply: reply.tuple,
    mark: bigEndian(attributes.get(8), 4),
    zone: bigEndian(attributes.get(18), 2),
    status: bigEndian(attributes.get(3), 4),
  };
}

function decodeTuple(
  payload: Buffer | undefined,
): { protocol: number; tuple: ConntrackTuple } | undefined {
  if (!payload) return undefined;
  const parts = decodeAttributes(payload);
  const ip = parts.get(1);
  const proto = parts.get(2);
  if (!ip || !proto) return undefined;
  const addresses = decodeAttributes(ip);
  const source = addresses.get(1) ?? addresses.get(3);
  const destination = addresses.get(2) ?? addresses.get(4);
  if (!source || !destination) return undefined;
  const fields = decodeAttributes(proto);
  return {
    protocol: fields.get(1)?.[0] ?? 0,
    tuple: {
      source: showEnd(source, bigEndian(fields.get(2), 2)),
      destination: showEnd(destination, bigEndian(fields.get(3), 2)),
    },
  };
}

function showEnd(address: Buffer, port: number): string {
  const ip = bytesToIp(address);
  return address.length === 16 ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function bigEndian(payload: Buffer | undefined, bytes: 2 | 4): number {
  return payload && payload.length >= bytes ? payload.readUIntBE(0, bytes) : 0;
}
