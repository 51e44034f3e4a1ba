import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import type { ConntrackIndex } from './conntrack-index.ts';
import { dialled } from './dialled.ts';
import type { Connection } from './facts.ts';
import type { NetnsMap } from './netns-map.ts';

/** Clock slack between a frame's stamp and the moment a program notes that it accepted it. */
export const SLACK_NS = 20_000_000n;

/** Finds connections by what one of their ends calls them, a reused port told apart by time. */
export class ConnectionIndex {
  readonly #byClientEnd = new Map<string, Connection[]>();
  readonly #byServerEnd = new Map<string, Connection[]>();
  readonly #all: readonly Connection[];

  constructor(connections: readonly Connection[], conntrack: ConntrackIndex) {
    this.#all = connections;
    for (const each of connections) {
      const first = each.sightings[0];
      const last = each.sightings.at(-1);
      if (first === undefined || last === undefined) continue;
      const { source } = dialled(each, conntrack);
      push(this.#byClientEnd, `${first.netns} ${each.protocol} ${source}`, each);
      push(this.#byServerEnd, `${last.netns} ${each.protocol} ${last.client}`, each);
    }
  }

  /** Every connection that begins in this netns from this `ip:port`, by start. */
  fromClient(netns: string, protocol: 'tcp' | 'udp', client: string): readonly Connection[] {
    return this.#byClientEnd.get(`${netns} ${protocol} ${client}`) ?? [];
  }

  /** Every connection that ends in this netns and came from this `ip:port` there, by start. */
  atServer(netns: string, protocol: 'tcp' | 'udp', client: string): readonly Connection[] {
    return this.#byServerEnd.get(`${netns} ${protocol} ${client}`) ?? [];
  }

  /** Every connection that begins in this netns. */
  beginningIn(netns: string): readonly Connection[] {
    return this.#all.filter((each) => each.sightings[0]?.netns === netns);
  }
}

/** Of connections with one tuple, the one in use at `timeNs`: the last that had begun by then. */
export function inUseAt(
  connections: readonly Connection[],
  timeNs: bigint,
): Connection | undefined {
  return connections.filter((each) => BigInt(each.startedNs) <= timeNs + SLACK_NS).at(-1);
}

/** Whether `connection` began between two moments, clock slack included. */
export function beganWithin(connection: Connection, fromNs: bigint, toNs: bigint): boolean {
  const started = BigInt(connection.startedNs);
  return started >= fromNs - SLACK_NS && started <= toNs + SLACK_NS;
}

/** Leg records, found by the netns of their pod and the client of what they accepted. */
export class LegRecordIndex {
  readonly #accepted = new Map<string, LegRecord[]>();
  readonly #made = new Set<string>();
  readonly #map: NetnsMap;

  constructor(records: readonly LegRecord[], map: NetnsMap) {
    this.#map = map;
    // Of a connection that was open when it was asked for, the last record is the whole one.
    const last = new Map(records.map((each) => [`${each.id} ${each.openedNs}`, each]));
    const ordered = [...last.values()].sort((a, b) =>
      Number(BigInt(a.openedNs) - BigInt(b.openedNs)),
    );
    for (const record of ordered) {
      const netns = this.netnsOf(record);
      if (netns === undefined) continue;
      push(this.#accepted, `${netns} ${record.accepted.peer}`, record);
      if (record.upstream) this.#made.add(`${netns} ${record.upstream.local}`);
    }
  }

  /** Netns a record's sockets live in; undefined when the plan knows no such pod. */
  netnsOf(record: LegRecord): string | undefined {
    if (record.sockets === 'ztunnel') return this.#map.ztunnelOf(record.node);
    return this.#map.podNamed(record.pod)?.netns;
  }

  /** Whether a record says that a proxy in `netns` connected from `local` for one of its clients. */
  explains(netns: string, local: string): boolean {
    return this.#made.has(`${netns} ${local}`);
  }

  /** Records about connections that `client` made to a proxy in `netns`, by time. */
  accepted(netns: string, client: string): readonly LegRecord[] {
    return this.#accepted.get(`${netns} ${client}`) ?? [];
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
