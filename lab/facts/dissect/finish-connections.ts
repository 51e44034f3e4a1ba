import type { InterfaceReader } from './interface-reader.ts';
import type { FrameTable } from './frame-table.ts';
import { encapsulationOf } from './encapsulation.ts';
import { OpenHalf } from './open-half.ts';
import type { TrackedConnection } from './tcp-tracker.ts';
import type { Connection, Encapsulation, Endpoint } from './types.ts';

/** Turns what was collected of an interface's connections into their final form. */
export function finishConnections(reader: InterfaceReader, name: string): OpenConnection[] {
  return reader.tcp.connections.map((tracked) => new OpenConnection(reader.table, tracked, name));
}

/** A connection whose conversation may not be known yet. */
export class OpenConnection implements Connection {
  readonly index: number;
  readonly interface: string;
  conversation = -1;
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly repliesFrom: Endpoint | undefined;
  readonly repliesTo: Endpoint | undefined;
  readonly hasHandshake: boolean;
  readonly fromClient: OpenHalf;
  readonly fromServer: OpenHalf;
  readonly #table: FrameTable;
  readonly #firstRow: number;
  readonly #lastRow: number;

  constructor(table: FrameTable, { index, client, server }: TrackedConnection, name: string) {
    const clientRow = client.rows[0] ?? -1;
    const serverRow = server.rows[0] ?? -1;
    this.#table = table;
    this.#firstRow =
      clientRow >= 0 && (serverRow < 0 || clientRow < serverRow) ? clientRow : serverRow;
    this.#lastRow = Math.max(lastOf(client.rows), lastOf(server.rows));
    this.index = index;
    this.interface = name;
    this.client = clientRow < 0 ? destinationOf(table, serverRow) : sourceOf(table, clientRow);
    this.server = clientRow < 0 ? sourceOf(table, serverRow) : destinationOf(table, clientRow);
    if (serverRow >= 0) {
      this.repliesFrom = otherThan(this.server, sourceOf(table, serverRow));
      this.repliesTo = otherThan(this.client, destinationOf(table, serverRow));
    }
    this.hasHandshake =
      client.initialSequence !== undefined && server.initialSequence !== undefined;
    this.fromClient = new OpenHalf(table, client, server);
    this.fromServer = new OpenHalf(table, server, client);
  }

  get firstFrame(): number {
    return this.#table.numbers[this.#firstRow]!;
  }

  get lastFrame(): number {
    return this.#table.numbers[this.#lastRow]!;
  }

  get firstNs(): bigint {
    return this.#table.timeNs(this.#firstRow);
  }

  get lastNs(): bigint {
    return this.#table.timeNs(this.#lastRow);
  }

  /** Nanoseconds from `baseNs` to the first frame; exact for captures of weeks. */
  firstNsSince(baseNs: bigint): number {
    return Number(this.#table.baseNs - baseNs) + this.#table.times[this.#firstRow]!;
  }

  get encapsulation(): readonly Encapsulation[] {
    return encapsulationOf(this.#table, this.#firstRow);
  }
}

function lastOf(rows: readonly number[]): number {
  return rows.length > 0 ? rows[rows.length - 1]! : -1;
}

/** The end that was seen, where it is not the one that was meant. */
function otherThan(meant: Endpoint, seen: Endpoint): Endpoint | undefined {
  return seen.address === meant.address && seen.port === meant.port ? undefined : seen;
}

function sourceOf(table: FrameTable, row: number): Endpoint {
  return { address: table.source(row), port: table.sourcePorts[row]! };
}

function destinationOf(table: FrameTable, row: number): Endpoint {
  return { address: table.destination(row), port: table.destinationPorts[row]! };
}
