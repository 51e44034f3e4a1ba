import type { DataFrame } from './data-frames.ts';

/**
 * Where the time of a request goes. Each part is a sum of gaps between time stamps that follow one
 * another, so that all parts together are the whole.
 */
export type Part = 'client' | 'redirect' | 'client-proxy' | 'wire' | 'server-proxy' | 'app';
export const PARTS: readonly Part[] = [
  'client',
  'redirect',
  'client-proxy',
  'wire',
  'server-proxy',
  'app',
];

/** When a request was written and its answer read, by the client itself. */
export interface TracedRequest {
  readonly sentNs: number;
  readonly answeredNs: number;
}

/** Who is who in the frames of a lab. */
export interface Ends {
  readonly clientIp: string;
  readonly serverIp: string;
  readonly appPort: number;
  readonly clientNetns: string;
  readonly serverNetns: string;
  readonly requestBytes: number;
  readonly bodyBytes: number;
}

export interface SplitRequest {
  readonly totalNs: number;
  readonly partsNs: Readonly<Record<Part, number>>;
  /** Connections that the request went over. */
  readonly legs: number;
  readonly sightings: number;
}

type Sighting = DataFrame & { readonly leg: string };

/**
 * Divides the time of one request, which had the world to itself, by what interfaces saw of it:
 * frames of the request until the app has it, frames of the answer from then on. A gap within one
 * connection is way (redirect, where it is the way between app and proxy; else wire), a gap between
 * two connections is the proxy that joins them. Undefined when the frames do not show the whole way.
 */
export function splitRequest(
  { sentNs, answeredNs }: TracedRequest,
  frames: readonly DataFrame[],
  ends: Ends,
): SplitRequest | undefined {
  const during = frames.filter(({ atNs }) => atNs >= sentNs && atNs <= answeredNs);
  const answer = during.findIndex((frame) => isAnswerOfApp(frame, ends));
  if (answer < 0) return undefined;
  const request = during
    .slice(0, answer)
    .filter((frame) => isOfRequest(frame, ends))
    .map(fromSource);
  const reply = during
    .slice(answer)
    .filter((frame) => isOfReply(frame, ends))
    .map(toDestination);
  const firstSeen = request[0];
  const reached = request.at(-1);
  const [answered] = reply;
  const lastSeen = reply.at(-1);
  if (!firstSeen || !reached || !answered || !lastSeen) return undefined;
  if (reached.netns !== ends.serverNetns || lastSeen.netns !== ends.clientNetns) return undefined;
  const legs = new Set(request.map(({ leg }) => leg)).size;
  if (new Set(reply.map(({ leg }) => leg)).size !== legs) return undefined;
  const parts = emptyParts();
  parts.client = firstSeen.atNs - sentNs + (answeredNs - lastSeen.atNs);
  parts.app = answered.atNs - reached.atNs;
  addGaps(parts, request, legs);
  // Backwards the way is the same, in the other order.
  addGaps(parts, [...reply].reverse(), legs);
  return {
    totalNs: answeredNs - sentNs,
    partsNs: parts,
    legs,
    sightings: request.length + reply.length,
  };
}

function emptyParts(): Record<Part, number> {
  return { client: 0, redirect: 0, 'client-proxy': 0, wire: 0, 'server-proxy': 0, app: 0 };
}

/** Sightings from the client's end to the server's, whichever way time runs. */
function addGaps(parts: Record<Part, number>, way: readonly Sighting[], legs: number): void {
  let leg = 1;
  for (let i = 1; i < way.length; i++) {
    const [from, to] = [way[i - 1]!, way[i]!];
    const gap = Math.abs(to.atNs - from.atNs);
    if (from.leg === to.leg) parts[partOfLeg(leg, legs)] += gap;
    else parts[leg++ === 1 ? 'client-proxy' : 'server-proxy'] += gap;
  }
}

/** With two proxies the first and the last connection are between an app and its proxy. */
function partOfLeg(leg: number, legs: number): Part {
  return legs > 2 && (leg === 1 || leg === legs) ? 'redirect' : 'wire';
}

function isAnswerOfApp(frame: DataFrame, ends: Ends): boolean {
  return (
    frame.netns === ends.serverNetns &&
    frame.payloadBytes >= ends.bodyBytes &&
    !goesToServer(frame, ends)
  );
}

/** Window updates and pings of HTTP/2 are smaller than a request. */
function isOfRequest(frame: DataFrame, ends: Ends): boolean {
  return frame.payloadBytes >= ends.requestBytes && goesToServer(frame, ends);
}

function isOfReply(frame: DataFrame, ends: Ends): boolean {
  return frame.payloadBytes >= ends.bodyBytes && !goesToServer(frame, ends);
}

/** The address that a sidecar's Envoy has towards its app (`InboundPassthroughBindIpv4` of Istio). */
const INBOUND_BIND = '127.0.0.6';

function goesToServer(
  { source, destination, destinationPort }: DataFrame,
  { clientIp, serverIp, appPort }: Ends,
): boolean {
  // A proxy that does not borrow the client's address speaks to its app from the pod's own.
  if (source === serverIp && destination === serverIp) return destinationPort === appPort;
  if (source === INBOUND_BIND || destination === INBOUND_BIND) return source === INBOUND_BIND;
  if (source === clientIp || destination === clientIp) return source === clientIp;
  return destination === serverIp;
}

/** The client's end of a connection tells it from others, whatever NAT does to the other end. */
function fromSource(frame: DataFrame): Sighting {
  return { ...frame, leg: `${frame.source}:${frame.sourcePort}` };
}

function toDestination(frame: DataFrame): Sighting {
  return { ...frame, leg: `${frame.destination}:${frame.destinationPort}` };
}
