import { TCP_FLAG } from '../../../dataplane/wire/tcp.ts';
import { FlowTable } from './flow-table.ts';
import { FRAME_META } from './frame-meta.ts';
import type { FrameTable } from './frame-table.ts';
import { TcpHalf } from './tcp-half.ts';

/** Both directions of a connection; `client` sent the SYN, or else has the higher port. */
export interface TrackedConnection {
  readonly index: number;
  readonly client: TcpHalf;
  readonly server: TcpHalf;
}

/**
 * Sorts the TCP frames of one interface into connections. A SYN with another sequence number starts
 * a new connection of the same tuple.
 */
export class TcpTracker {
  readonly connections: TrackedConnection[] = [];
  readonly #table: FrameTable;
  readonly #flows4 = new FlowTable();
  readonly #flows6 = new FlowTable();
  readonly #addresses6 = new Map<string, number>();
  readonly #halves: TcpHalf[] = [];
  /** Connections by the sequence number of a SYN that no tuple has answered yet. */
  readonly #unanswered = new Map<number, TrackedConnection>();

  constructor(table: FrameTable) {
    this.#table = table;
  }

  /** Adds the frame at `row`, whose TCP columns are filled; sets its connection column. */
  add(row: number): void {
    const table = this.#table;
    const isIpv6 = (table.meta[row]! & FRAME_META.ipv6) !== 0;
    const flows = isIpv6 ? this.#flows6 : this.#flows4;
    const at = table.dataOffsets[row]! + table.ipOffsets[row]!;
    const source = isIpv6 ? this.#intern(at + 8) : word(table.file, at + 12);
    const destination = isIpv6 ? this.#intern(at + 24) : word(table.file, at + 16);
    const sourcePort = table.sourcePorts[row]!;
    const destinationPort = table.destinationPorts[row]!;
    const ports = (sourcePort << 16) | destinationPort;

    const known = flows.get(source, destination, ports);
    let half = known < 0 ? undefined : this.#halves[known]!;
    const flags = table.tcpFlags[row]!;
    if (half && flags & TCP_FLAG.syn && !this.#isSameSyn(half, row, flags)) half = undefined;
    if (!half) {
      half = this.#answered(row, flags);
      if (half) flows.set(source, destination, ports, 2 * half.connection + 1);
    }
    if (!half) {
      const isClient = isSyn(flags) || (!isSynAck(flags) && sourcePort > destinationPort);
      half = this.#open(isClient, row, flags);
      const first = this.#halves.length - 2;
      const reverse = (destinationPort << 16) | sourcePort;
      flows.set(source, destination, ports, isClient ? first : first + 1);
      flows.set(destination, source, reverse, isClient ? first + 1 : first);
    }
    half.add(table, row);
    table.connections[row] = half.connection;
  }

  #open(isClient: boolean, row: number, flags: number): TcpHalf {
    const index = this.connections.length;
    const client = new TcpHalf(index, 'client');
    const server = new TcpHalf(index, 'server');
    const connection = { index, client, server };
    this.connections.push(connection);
    this.#halves.push(client, server);
    if (isSyn(flags)) this.#unanswered.set(this.#table.sequences[row]!, connection);
    return isClient ? client : server;
  }

  /** A SYN that was sent again, or the first SYN+ACK of a connection that is being opened. */
  #isSameSyn(half: TcpHalf, row: number, flags: number): boolean {
    if (half.initialSequence !== undefined) {
      return half.initialSequence === this.#table.sequences[row]!;
    }
    return isSynAck(flags) && half.side === 'server' && half.rows.length === 0;
  }

  /**
   * The server half that an answer from another address than was asked belongs to. On loopback
   * under REDIRECT a connection's requests show the new destination and its answers the original;
   * their ports differ at the client's side too when NAT gave the requests another source port,
   * because the translated tuple was in use (nf_nat_core.c `get_unique_tuple`).
   */
  #answered(row: number, flags: number): TcpHalf | undefined {
    const table = this.#table;
    const isAnswer = isSynAck(flags) || (flags & TCP_FLAG.rst && flags & TCP_FLAG.ack);
    if (!isAnswer) return undefined;
    const connection = this.#unanswered.get((table.acknowledgements[row]! - 1) >>> 0);
    const first = connection?.client.rows[0];
    if (!connection || first === undefined || connection.server.rows.length > 0) return undefined;
    return table.source(first) === table.destination(row) ? connection.server : undefined;
  }

  #intern(at: number): number {
    const key = this.#table.file.toString('latin1', at, at + 16);
    const known = this.#addresses6.get(key);
    if (known !== undefined) return known;
    this.#addresses6.set(key, this.#addresses6.size);
    return this.#addresses6.size - 1;
  }
}

function isSyn(flags: number): boolean {
  return (flags & (TCP_FLAG.syn | TCP_FLAG.ack)) === TCP_FLAG.syn;
}

function isSynAck(flags: number): boolean {
  return (flags & (TCP_FLAG.syn | TCP_FLAG.ack)) === (TCP_FLAG.syn | TCP_FLAG.ack);
}

function word(from: Uint8Array, at: number): number {
  return (from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!;
}
