import type { FrameRef } from '../judge/verdict.ts';
import type { DissectedInterface, DnsExchange } from '../facts/dissect/types.ts';
import type { BaselineBlock } from './baseline.ts';
import { endpointText, hexes, placeOf } from './describe-seen.ts';
import { FIRST_EPHEMERAL_PORT } from './stable-address.ts';

/** One thing that an interface saw: it belongs to a block, and there to a fact. */
interface Observation {
  readonly block: string;
  readonly key: string;
  readonly value: string;
  readonly place: string;
  readonly frame: number;
}

/** DNS by question, other UDP by who and whom, ICMP by type; each with the interfaces that saw it. */
export function describeDatagrams(
  interfaces: readonly DissectedInterface[],
): readonly BaselineBlock[] {
  return [observeDns, observeUdp, observeIcmp].flatMap((read) =>
    collect(interfaces.flatMap((on) => read(on))),
  );
}

/** Questions with their answers. */
function observeDns(on: DissectedInterface): readonly Observation[] {
  const place = placeOf(on.name);
  return on.dns.map((exchange) => ({
    block: `dns ${exchange.name} ${typeText(exchange.type)}`,
    key: `over ${exchange.transport} ${exchange.client.address} -> ${endpointText(exchange.server)}`,
    value: answerText(exchange),
    place,
    frame: exchange.queryFrame ?? exchange.responseFrame ?? 0,
  }));
}

/** Who has the lower port is the server. */
function observeUdp(on: DissectedInterface): readonly Observation[] {
  const place = placeOf(on.name);
  return on.udpFlows.map(({ a, b, frames, marks }) => {
    const [client, server] = a.port < b.port && a.port < FIRST_EPHEMERAL_PORT ? [b, a] : [a, b];
    const block = `udp ${client.address} -> ${endpointText(server)}`;
    return { block, key: 'marks', value: hexes(marks), place, frame: frames[0] ?? 0 };
  });
}

/** ICMP but for neighbour discovery (RFC 4861) and listener reports, which come when they like. */
function observeIcmp(on: DissectedInterface): readonly Observation[] {
  const place = placeOf(on.name);
  return on.icmp
    .filter(({ source, type }) => !(source.includes(':') && type >= 130 && type <= 143))
    .map(({ frame, source, destination, type, code }) => {
      const block = `icmp ${source} -> ${destination}`;
      return { block, key: `type ${type}`, value: `code ${code}`, place, frame };
    });
}

function collect(observations: readonly Observation[]): readonly BaselineBlock[] {
  const blocks = groupBy(observations, ({ block }) => block);
  return [...blocks.keys()].sort().map((name) => {
    const facts = groupBy(blocks.get(name) ?? [], ({ key }) => key);
    return {
      name,
      facts: [...facts.keys()].sort().flatMap((key) => factsOf(key, facts.get(key) ?? [])),
    };
  });
}

/** Each value with where it was seen; how often says nothing, for who gets no answer asks again. */
function factsOf(key: string, observations: readonly Observation[]) {
  const values = groupBy(observations, ({ value }) => value);
  return [...values.keys()].sort().map((value, index) => {
    const seen = values.get(value) ?? [];
    const places = [...new Set(seen.map(({ place }) => place))].sort();
    const frames: readonly FrameRef[] = seen.map(({ place, frame }) => {
      return { file: place, frames: [frame] };
    });
    return {
      key: index === 0 ? key : `${key} (${index + 1})`,
      value: `${value}, on ${places.join(', ')}`,
      frames,
    };
  });
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** Codes of RFC 1035 section 4.1.1. */
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

function answerText({ rcode, addresses }: DnsExchange): string {
  if (rcode === undefined) return 'no answer';
  const code = RCODES[rcode] ?? `code ${rcode}`;
  return [code, ...[...new Set(addresses)].sort()].join(' ');
}

/** Types of RFC 1035 section 3.2.2, RFC 3596 and RFC 2782. */
const TYPES: Readonly<Record<number, string>> = {
  1: 'A',
  5: 'CNAME',
  12: 'PTR',
  28: 'AAAA',
  33: 'SRV',
};

function typeText(type: number): string {
  return TYPES[type] ?? `type ${type}`;
}
