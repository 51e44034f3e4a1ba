import type { InterfaceReader } from './interface-reader.ts';
import { FRAME_META } from './frame-meta.ts';
import type { FrameTable } from './frame-table.ts';
import { describeLayers } from './describe-frame.ts';
import { reassemble } from './reassembly.ts';
import type { TcpHalf } from './tcp-half.ts';
import type { TrackedConnection } from './tcp-tracker.ts';
import type { Connection, ConnectionHalf, Encapsulation, Endpoint } from './types.ts';

/** A connection whose conversation is not known yet. */
export type OpenConnection = { -readonly [K in keyof Connection]: Connection[K] };

/** Turns what was collected of an interface's connections into their final form. */
export function finishConnections(reader: InterfaceReader, name: string): OpenConnection[] {
  return reader.tcp.connections.map((tracked) => finish(reader.table, tracked, name));
}

function finish(table: FrameTable, tracked: TrackedConnection, name: string): OpenConnection {
  const { client, server } = tracked;
  const clientRow = client.rows[0];
  const serverRow = server.rows[0];
  const firstRow = Math.min(clientRow ?? Infinity, serverRow ?? Infinity);
  const lastRow = Math.max(client.rows.at(-1) ?? -1, server.rows.at(-1) ?? -1);
  const asked = clientRow === undefined ? undefined : destinationOf(table, clientRow);
  const answered = serverRow === undefined ? undefined : sourceOf(table, serverRow);
  const serverEnd = asked ?? answered!;
  const isAnsweredElsewhere =
    answered && (answered.address !== serverEnd.address || answered.port !== serverEnd.port);
  return {
    index: tracked.index,
    interface: name,
    conversation: -1,
    client: clientRow === undefined ? destinationOf(table, serverRow!) : sourceOf(table, clientRow),
    server: serverEnd,
    ...(isAnsweredElsewhere && { repliesFrom: answered }),
    hasHandshake: client.initialSequence !== undefined && server.initialSequence !== undefined,
    firstFrame: table.numbers[firstRow]!,
    lastFrame: table.numbers[lastRow]!,
    firstNs: table.timeNs(firstRow),
    lastNs: table.timeNs(lastRow),
    encapsulation: encapsulationOf(table, firstRow),
    fromClient: finishHalf(table, client, server),
    fromServer: finishHalf(table, server, client),
  };
}

function finishHalf(table: FrameTable, half: TcpHalf, other: TcpHalf): ConnectionHalf {
  return {
    frames: half.rows.length,
    initialSequence: half.initialSequence,
    synFrames: half.synFrames,
    finFrames: half.finFrames,
    rstFrames: half.rstFrames,
    marks: half.marks,
    ttls: half.ttls,
    ...reassemble(table, half, other.highestAcknowledgement),
  };
}

function sourceOf(table: FrameTable, row: number): Endpoint {
  return { address: table.source(row), port: table.sourcePorts[row]! };
}

function destinationOf(table: FrameTable, row: number): Endpoint {
  return { address: table.destination(row), port: table.destinationPorts[row]! };
}

function encapsulationOf(table: FrameTable, row: number): Encapsulation[] {
  if ((table.meta[row]! & FRAME_META.encapsulated) === 0) return [];
  const wrappings: Encapsulation[] = [];
  let source = '';
  let destination = '';
  for (const layer of describeLayers(table.linkType, table.bytes(row))) {
    if (layer.kind === 'ipv4' || layer.kind === 'ipv6') ({ source, destination } = layer);
    else if (layer.kind === 'geneve' || layer.kind === 'vxlan') {
      wrappings.push({ kind: layer.kind, vni: layer.vni, source, destination });
    }
  }
  return wrappings;
}
