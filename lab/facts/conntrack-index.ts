import type { ConntrackEvent } from '../capture/layout.ts';

/** One connection as conntrack of one netns knew it, from its first event. */
export interface Translation {
  readonly netns: string;
  readonly timeNs: bigint;
  /** Tuple before NAT. */
  readonly original: { readonly source: string; readonly destination: string };
  /** Tuple after NAT: the reply tuple turned round. */
  readonly translated: { readonly source: string; readonly destination: string };
}

/** Conntrack events, found by netns and either tuple; the one nearest in time wins. */
export class ConntrackIndex {
  readonly #byOriginal = new Map<string, Translation[]>();
  readonly #byTranslated = new Map<string, Translation[]>();

  constructor(events: readonly ConntrackEvent[]) {
    const seen = new Set<string>();
    for (const event of events) {
      const original = `${event.original.source}>${event.original.destination}`;
      const reply = `${event.reply.source}>${event.reply.destination}`;
      const id = `${event.netns} ${event.protocol} ${original} ${reply}`;
      // Updates repeat the tuples; only a `new` may begin another use of the same ones.
      if (event.event !== 'new' && seen.has(id)) continue;
      seen.add(id);
      this.#add(event);
    }
  }

  #add(event: ConntrackEvent): void {
    const translation: Translation = {
      netns: event.netns,
      timeNs: BigInt(event.timeNs),
      original: event.original,
      translated: { source: event.reply.destination, destination: event.reply.source },
    };
    const protocol = event.protocol === 17 ? 'udp' : 'tcp';
    push(this.#byOriginal, keyOf(event.netns, protocol, translation.original), translation);
    push(this.#byTranslated, keyOf(event.netns, protocol, translation.translated), translation);
  }

  /** What became of the tuple `source > destination` in this netns. */
  after(
    netns: string,
    protocol: 'tcp' | 'udp',
    source: string,
    destination: string,
    timeNs: bigint,
  ): Translation | undefined {
    return nearest(this.#byOriginal.get(keyOf(netns, protocol, { source, destination })), timeNs);
  }

  /** What the tuple `source > destination` was before this netns translated it. */
  before(
    netns: string,
    protocol: 'tcp' | 'udp',
    source: string,
    destination: string,
    timeNs: bigint,
  ): Translation | undefined {
    return nearest(this.#byTranslated.get(keyOf(netns, protocol, { source, destination })), timeNs);
  }
}

/** Whether NAT changed anything. */
export function isTranslated({ original, translated }: Translation): boolean {
  return original.source !== translated.source || original.destination !== translated.destination;
}

function keyOf(
  netns: string,
  protocol: string,
  tuple: { readonly source: string; readonly destination: string },
): string {
  return `${netns} ${protocol} ${tuple.source}>${tuple.destination}`;
}

function push(map: Map<string, Translation[]>, key: string, value: Translation): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function nearest(list: readonly Translation[] | undefined, timeNs: bigint) {
  const distance = (each: Translation): bigint =>
    each.timeNs > timeNs ? each.timeNs - timeNs : timeNs - each.timeNs;
  return list?.reduce((best, each) => (distance(each) < distance(best) ? each : best));
}
