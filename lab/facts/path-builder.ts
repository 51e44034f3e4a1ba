import { splitAddress } from './address.ts';
import { dialled } from './dialled.ts';
import type {
  Connection,
  ConnectStream,
  HboneLeg,
  MtlsLeg,
  Join,
  Leg,
  LegEnd,
  Path,
  Sighting,
} from './facts.ts';
import type { RequestResult } from './request.ts';
import type { StitchContext } from './stitch-context.ts';
import { servedAt } from './stitch-context.ts';

export interface AddLegOptions {
  /** A proxy accepted the connection, not the app. */
  readonly isProxied: boolean;
  /** Port of its listener, where a record tells. */
  readonly listener?: number;
  /** The stream of a tunnel that carries the request. */
  readonly stream?: ConnectStream;
  /** When the request began on a connection that a proxy kept from one before. */
  readonly keptSinceNs?: string;
}

/** Collects legs and the evidence that joined them, and says at the end what is missing. */
export class PathBuilder {
  readonly request: RequestResult;
  readonly #context: StitchContext;
  readonly #legs: Leg[] = [];
  readonly #connections: Connection[] = [];
  readonly #joins: Join[] = [];
  readonly #missing: string[] = [];
  #failure: string | undefined;

  constructor(request: RequestResult, context: StitchContext) {
    this.request = request;
    this.#context = context;
  }

  get legCount(): number {
    return this.#legs.length;
  }

  join(evidence: Join['evidence'], text: string): void {
    this.#joins.push({ evidence, text });
  }

  lacks(text: string): void {
    this.#missing.push(text);
  }

  /** The proxy itself ended the path here: an answer, not a lack of evidence. */
  fails(text: string): void {
    this.#failure = text;
  }

  addLeg(connection: Connection, options: AddLegOptions): void {
    const { isProxied, listener, stream, keptSinceNs } = options;
    const first = connection.sightings[0];
    const last = connection.sightings.at(-1);
    if (first === undefined || last === undefined) return;
    const { source, destination: wanted } = dialled(connection, this.#context.conntrack);
    const served = servedAt(connection, this.#context);
    this.#connections.push(connection);
    this.#joins.push(...connection.joins);
    this.#legs.push({
      number: this.#legs.length + 1,
      connection: connection.id,
      protocol: connection.protocol,
      from: this.#end(first.netns, source, this.#legs.length > 0),
      to: {
        ...this.#end(last.netns, served, isProxied),
        ...(listener !== undefined && { listener }),
      },
      ...wrappingOf(connection, stream),
      ...(wanted !== served && { wanted }),
      startedNs: stream?.startedNs ?? keptSinceNs ?? connection.startedNs,
      // Which frames of a kept connection are this request's is not told by its first one.
      passages:
        keptSinceNs === undefined
          ? this.#context.passages(connection, stream?.stream)
          : connection.sightings.map(() => undefined),
      ...(isBetweenSidecars(connection) && { reused: keptSinceNs !== undefined }),
      ...(stream &&
        connection.tls?.state === 'decrypted' && { reused: isReused(connection, stream) }),
    });
  }

  #end(netns: string, address: string, isProxy: boolean): LegEnd {
    const { map } = this.#context;
    const node = map.nodeOf(netns);
    const role = map.roleOf(netns);
    const place = { netns, address, ...(node !== undefined && { node }) };
    if (isProxy && map.podIn(netns)?.sidecar) return { ...place, name: 'envoy', kind: 'envoy' };
    if (isProxy) return { ...place, name: 'ztunnel', kind: 'ztunnel' };
    if (role === 'outside') return { ...place, name: 'outside', kind: 'outside' };
    if (role === 'node') return { ...place, name: this.#nodeName(netns, address), kind: 'node' };
    const owner = map.podIn(netns) ?? map.guestIn(netns);
    const name = owner?.name ?? map.nameOfIp(splitAddress(address).ip);
    return { ...place, name, kind: 'app' };
  }

  /** A frame that a node had no way for was last seen there, but went to nobody. */
  #nodeName(netns: string, address: string): string {
    const { ip } = splitAddress(address);
    const isUnknown = this.#context.map.nameOfIp(ip) === ip;
    return isUnknown && !isLoopback(ip) ? ip : netns;
  }

  build(): Path {
    const first = this.#connections[0]?.sightings[0];
    return {
      request: this.request,
      legs: this.#legs,
      joins: this.#joins,
      missing: this.#missing,
      ...(this.#failure !== undefined && { failure: this.#failure }),
      hops: sum(this.#connections.map((each) => each.hops)),
      passes: sum(this.#connections.map((each) => each.passes)),
      durationUs: first === undefined ? 0 : durationUs(first),
      canary: this.#context.canaryFacts(this.request.canary),
    };
  }
}

function wrappingOf(
  connection: Connection,
  stream: ConnectStream | undefined,
): Pick<Leg, 'encapsulation' | 'hbone' | 'mtls'> {
  const tls = tlsOf(connection);
  const hbone: HboneLeg | undefined = stream && { stream, ...tls };
  if (hbone !== undefined) return { encapsulation: 'hbone', hbone };
  return isBetweenSidecars(connection)
    ? { encapsulation: 'mtls', mtls: tls }
    : { encapsulation: 'plain' };
}

/** Istio's clients name the cluster as server name; an app's own TLS is no encapsulation of ours. */
function isBetweenSidecars({ tls }: Connection): boolean {
  return (
    tls !== undefined && tls.state !== 'cleartext' && tls.sni?.startsWith('outbound_.') === true
  );
}

function tlsOf({ tls }: Connection): MtlsLeg {
  return {
    ...(tls?.clientIdentity !== undefined && { clientIdentity: tls.clientIdentity }),
    ...(tls?.serverIdentity !== undefined && { serverIdentity: tls.serverIdentity }),
    ...(tls?.version !== undefined && { version: tls.version }),
    ...(tls?.cipher !== undefined && { cipher: tls.cipher }),
    ...(tls?.alpn !== undefined && { alpn: tls.alpn }),
    ...(tls?.sni !== undefined && { sni: tls.sni }),
  };
}

function isReused({ tls }: Connection, { stream }: ConnectStream): boolean {
  return tls !== undefined && tls.streams.some((each) => each.stream < stream);
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}

function durationUs({ firstNs, lastNs }: Sighting): number {
  return Number((BigInt(lastNs) - BigInt(firstNs)) / 1000n);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
