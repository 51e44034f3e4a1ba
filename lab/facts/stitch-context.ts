import type { ConnectionIndex, LegRecordIndex } from './connection-index.ts';
import type { ConntrackIndex } from './conntrack-index.ts';
import { dialled } from './dialled.ts';
import type { CanaryFacts, Connection, Passage } from './facts.ts';
import type { NetnsMap } from './netns-map.ts';

/** All that a path may be stitched from. */
export interface StitchContext {
  readonly connections: ConnectionIndex;
  readonly records: LegRecordIndex;
  readonly conntrack: ConntrackIndex;
  readonly map: NetnsMap;
  /** Canaries readable in the clear payload of a connection. */
  readonly canariesOn: (connection: Connection) => ReadonlySet<string>;
  /** Canaries in the decrypted data of a stream of a connection. */
  readonly canariesIn: (connection: Connection, stream: number) => ReadonlySet<string>;
  /** When the connection, or one stream of it, passed each of its sightings. */
  readonly passages: (connection: Connection, stream?: number) => readonly (Passage | undefined)[];
  readonly canaryFacts: (canary: string) => CanaryFacts;
}

/** Where the client of a connection wanted to go, before a redirect in its own netns. */
export function wantedOf(connection: Connection, { conntrack }: StitchContext): string {
  return dialled(connection, conntrack).destination;
}

/** Where the server's socket is, after a redirect in its own netns. */
export function servedAt(connection: Connection, context: StitchContext): string {
  const last = connection.sightings.at(-1);
  if (last === undefined) return connection.server;
  if (last.direction !== 'in') return last.server;
  const after = context.conntrack.after(
    last.netns,
    connection.protocol,
    last.client,
    last.server,
    BigInt(connection.startedNs),
  );
  return after?.translated.destination ?? last.server;
}
