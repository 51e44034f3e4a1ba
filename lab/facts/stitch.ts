import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import { splitAddress } from './address.ts';
import { beganWithin, inUseAt, SLACK_NS } from './connection-index.ts';
import type { Connection, ConnectStream, Path } from './facts.ts';
import { PathBuilder } from './path-builder.ts';
import type { RequestResult } from './request.ts';
import type { StitchContext } from './stitch-context.ts';
import { servedAt, wantedOf } from './stitch-context.ts';
import { isMarked, type Step } from './stitch-step.ts';
import { stepIntoEnvoysTunnel } from './stitch-envoy-tunnel.ts';
import { stepWithoutRecord } from './stitch-without-records.ts';

/** Ports on which a ztunnel listens in a pod's netns (facts: ztunnel §1.1). */
const PROXY_PORTS = new Set([15001, 15006, 15008]);
const DNS_PORT = 15053;
/** Listener behind each kind of record. */
const LISTENERS = { outbound: 15001, 'inbound-passthrough': 15006, inbound: 15008 } as const;
/** A path cannot be longer than this; a longer one is a loop in the evidence. */
const MAX_LEGS = 16;

/**
 * Follows one request from its client's socket over every connection to the app. Each step stands
 * on evidence, named in `joins`; where evidence is absent or contradicts, the path ends and
 * `missing` says why.
 */
export function stitchPath(request: RequestResult, context: StitchContext): Path {
  const path = new PathBuilder(request, context);
  let step: Step | undefined = firstStep(request, path, context);
  while (step !== undefined && path.legCount < MAX_LEGS) {
    const record: LegRecord | undefined = recordOf(step, path, context);
    const isAsked = isDnsProxy(step.connection, context);
    const isProxied: boolean =
      record !== undefined || isAsked || looksProxied(step.connection, context);
    path.addLeg(step.connection, {
      isProxied,
      stream: step.stream,
      keptSinceNs: step.keptSinceNs,
      ...(record && { listener: LISTENERS[record.direction] }),
    });
    if (isAsked) endAtDnsProxy(step.connection, path, context);
    step = isProxied && !isAsked ? nextStep(step, record, path, context) : undefined;
  }
  return path.build();
}

function firstStep(
  request: RequestResult,
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  const started = BigInt(request.startedNs);
  const ended = BigInt(request.endedNs);
  const protocol = request.protocol === 'udp' ? 'udp' : 'tcp';
  const begun =
    request.local !== undefined
      ? context.connections.fromClient(request.clientNetns, protocol, request.local)
      : context.connections
          .beginningIn(request.clientNetns)
          .filter(
            (each) => each.protocol === protocol && wantedOf(each, context) === request.remote,
          );
  const inTime = begun.filter((each) => beganWithin(each, started, ended));
  const found = narrow(inTime, (each) => context.canariesOn(each).has(request.canary));
  if (found.length !== 1) {
    const what = request.local ?? `a client in ${request.clientNetns}`;
    const seen = found.length === 0 ? 'no connection' : `${found.length} connections`;
    path.lacks(`${seen} from ${what} to ${request.remote ?? request.to} while the request ran`);
    return undefined;
  }
  const [connection] = found as [Connection];
  const wanted = wantedOf(connection, context);
  if (request.local !== undefined && request.remote !== undefined && wanted !== request.remote) {
    path.lacks(`client says it called ${request.remote}, the packets say ${wanted}`);
    return undefined;
  }
  const text =
    request.local !== undefined
      ? `client's socket ${request.local} in ${request.clientNetns}`
      : `only connection from ${request.clientNetns} to ${request.remote} while the request ran`;
  path.join('client-socket', `leg 1: ${text}`);
  return { connection };
}

/** Keeps those that fit when more than one is left and some do. */
function narrow(
  found: readonly Connection[],
  fits: (each: Connection) => boolean,
): readonly Connection[] {
  if (found.length < 2) return found;
  const fitting = found.filter(fits);
  return fitting.length > 0 ? fitting : found;
}

/** Whether the server is a ztunnel's DNS proxy in a pod. */
function isDnsProxy(connection: Connection, context: StitchContext): boolean {
  const last = connection.sightings.at(-1);
  return (
    last !== undefined &&
    context.map.roleOf(last.netns) === 'pod' &&
    splitAddress(servedAt(connection, context)).port === DNS_PORT
  );
}

/** What it knows, it answers itself: the path ends, unless it asked somebody else meanwhile. */
function endAtDnsProxy(connection: Connection, path: PathBuilder, context: StitchContext): void {
  const netns = connection.sightings.at(-1)?.netns ?? '';
  const { startedNs, endedNs } = path.request;
  const asked = context.connections
    .beginningIn(netns)
    .filter((each) => each !== connection && splitAddress(each.server).port === 53)
    .filter((each) => isMarked(each.sightings[0]?.marks ?? []))
    .filter((each) => !context.records.explains(netns, each.sightings[0]?.client ?? ''))
    .filter((each) => beganWithin(each, BigInt(startedNs), BigInt(endedNs)));
  if (asked.length === 0) return;
  path.lacks(`ztunnel asked ${asked[0]?.server} meanwhile, and no record says for which question`);
}

/** Whether packets alone show that a proxy accepted this connection. */
function looksProxied(connection: Connection, context: StitchContext): boolean {
  const last = connection.sightings.at(-1);
  if (last === undefined || connection.protocol !== 'tcp') return false;
  const role = context.map.roleOf(last.netns);
  // In the ztunnel's own netns nobody else has a socket.
  if (role === 'ztunnel') return true;
  if (role !== 'pod') return false;
  // With TPROXY the rules of a sidecar mark what the app answers, with the same mark.
  const isMarksOwn = context.map.podIn(last.netns)?.sidecar === undefined;
  return (
    PROXY_PORTS.has(splitAddress(servedAt(connection, context)).port) ||
    (isMarksOwn && isMarked(last.replyMarks))
  );
}

/** The record of the proxy that accepted this connection (or this stream of it). */
function recordOf(
  { connection, stream, sinceNs }: Step,
  path: PathBuilder,
  context: StitchContext,
): LegRecord | undefined {
  const last = connection.sightings.at(-1);
  if (last === undefined || connection.protocol !== 'tcp') return undefined;
  const sameClient = context.connections.atServer(last.netns, 'tcp', last.client);
  const records = context.records
    .accepted(last.netns, last.client)
    .filter(
      (each) => each.tunnel === undefined || each.direction !== 'inbound' || stream !== undefined,
    )
    .filter((each) => (each.direction === 'inbound') === (stream !== undefined))
    .filter((each) => stream === undefined || isAbout(each, stream))
    .filter((each) => inUseAt(sameClient, BigInt(each.openedNs)) === connection);
  if (records.every(({ proxy }) => proxy === 'envoy')) {
    return firstSince(records, sinceNs ?? path.request.startedNs, path.request.endedNs);
  }
  if (records.length > 1) {
    const ids = records.map((each) => each.id).join(', ');
    path.lacks(`leg records ${ids} all claim ${last.client} in ${last.netns}`);
    return undefined;
  }
  return records[0];
}

/** Envoy knows no numbers of streams: it says whom the CONNECT was for. */
function isAbout({ tunnel, forwardedFor }: LegRecord, stream: ConnectStream): boolean {
  if (tunnel !== undefined) return tunnel.stream === stream.stream;
  return forwardedFor !== undefined && forwardedFor === stream.forwardedFor;
}

/**
 * Envoy writes a record a request, and a connection carries many, one after the other: the first
 * that began when the request had been passed on. Clocks are the same, Envoy's has microseconds.
 */
function firstSince(
  records: readonly LegRecord[],
  sinceNs: string,
  untilNs: string,
): LegRecord | undefined {
  const [since, until] = [BigInt(sinceNs) - 1_000n, BigInt(untilNs) + SLACK_NS];
  return records.find(({ openedNs }) => BigInt(openedNs) >= since && BigInt(openedNs) <= until);
}

function nextStep(
  step: Step,
  record: LegRecord | undefined,
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  if (record === undefined) return stepWithoutRecord(step, path, context);
  if (record.direction === 'outbound' && record.tunnel !== undefined) {
    return stepIntoTunnel(record, record.tunnel, path, context);
  }
  if (record.tunnelledTo !== undefined) {
    return stepIntoEnvoysTunnel(record, record.tunnelledTo, path, context);
  }
  if (record.upstream !== undefined) return stepUpstream(record, record.upstream, path, context);
  return stepToFailure(record, path, context);
}

function stepIntoTunnel(
  record: LegRecord,
  tunnel: NonNullable<LegRecord['tunnel']>,
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  const netns = context.records.netnsOf(record) ?? '';
  const tuple = `${tunnel.local} → ${tunnel.remote}`;
  const candidates = context.connections
    .fromClient(netns, 'tcp', tunnel.local)
    .filter((each) => each.sightings[0]?.server === tunnel.remote);
  const connection = inUseAt(candidates, BigInt(record.closedNs));
  if (connection === undefined || BigInt(connection.endedNs) < BigInt(record.openedNs)) {
    path.lacks(`leg record ${record.id} names tunnel ${tuple}, no packets of it in ${netns}`);
    return undefined;
  }
  const stream = connection.tls?.streams.find((each) => each.stream === tunnel.stream);
  const contradiction = contradictionIn(record, tunnel.stream, stream, connection);
  if (contradiction !== undefined) {
    path.lacks(contradiction);
    return undefined;
  }
  path.join(
    'leg-record',
    `leg ${path.legCount} → leg ${path.legCount + 1}: record ${record.id} accepted ` +
      `${record.accepted.peer}, sent it as stream ${tunnel.stream} of ${tuple}`,
  );
  if (stream?.forwardedFor !== undefined) {
    path.join(
      'forwarded-header',
      `leg ${path.legCount + 1}: CONNECT of stream ${tunnel.stream} says for=${stream.forwardedFor}`,
    );
  }
  return { connection, stream: stream ?? unreadStream(tunnel.stream, record) };
}

function contradictionIn(
  record: LegRecord,
  number: number,
  stream: ConnectStream | undefined,
  connection: Connection,
): string | undefined {
  if (stream === undefined) {
    return connection.tls?.state === 'decrypted'
      ? `leg record ${record.id} names stream ${number}, the decrypted tunnel has none`
      : undefined;
  }
  if (stream.forwardedFor !== undefined && stream.forwardedFor !== record.accepted.peer) {
    return (
      `leg record ${record.id} says stream ${number} is for ${record.accepted.peer}, ` +
      `its CONNECT says for=${stream.forwardedFor}`
    );
  }
  const isOther =
    stream.traceparent !== undefined &&
    record.traceparent !== undefined &&
    stream.traceparent !== record.traceparent;
  return isOther
    ? `leg record ${record.id} and the CONNECT of stream ${number} differ in traceparent`
    : undefined;
}

/** What the record says of a stream that could not be decrypted. */
function unreadStream(stream: number, record: LegRecord): ConnectStream {
  return { stream, bytesSent: 0, bytesReceived: 0, startedNs: record.openedNs };
}

function stepUpstream(
  record: LegRecord,
  upstream: NonNullable<LegRecord['upstream']>,
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  const netns = context.records.netnsOf(record) ?? '';
  const candidates = context.connections
    .fromClient(netns, 'tcp', upstream.local)
    .filter((each) => wantedOf(each, context) === upstream.remote);
  const connection = inUseAt(candidates, BigInt(record.closedNs));
  // Envoy keeps connections for later requests.
  const isKept = record.proxy === 'envoy' && connection !== undefined;
  if (connection === undefined || !(isKept || isWithin(connection, record))) {
    const tuple = `${upstream.local} → ${upstream.remote}`;
    path.lacks(`leg record ${record.id} names upstream ${tuple}, no packets of it in ${netns}`);
    return undefined;
  }
  path.join(
    'leg-record',
    `leg ${path.legCount} → leg ${path.legCount + 1}: record ${record.id} accepted ` +
      `${record.accepted.peer}, connected ${upstream.local} → ${upstream.remote}`,
  );
  const isNew = isWithin(connection, record);
  const sinceNs = record.openedNs;
  return { connection, sinceNs, ...(!isNew && { keptSinceNs: sinceNs }) };
}

function isWithin(connection: Connection, record: LegRecord): boolean {
  return beganWithin(connection, BigInt(record.openedNs), BigInt(record.closedNs));
}

/** A record without a way on: the proxy refused, or its connect failed; then the attempt is a leg. */
function stepToFailure(
  record: LegRecord,
  path: PathBuilder,
  context: StitchContext,
): Step | undefined {
  path.fails(record.error ?? `leg record ${record.id} names no way on`);
  const netns = context.records.netnsOf(record) ?? '';
  const attempts = context.connections
    .beginningIn(netns)
    .filter((each) => each.end === 'refused' || each.end === 'unanswered')
    .filter((each) => wantedOf(each, context) === record.originalDestination)
    .filter((each) => each.sightings[0]?.direction !== undefined && isWithin(each, record))
    .filter((each) => record.sockets === 'ztunnel' || isMarked(each.sightings[0]?.marks ?? []));
  const [connection] = attempts;
  if (attempts.length !== 1 || connection === undefined) return undefined;
  path.join(
    'leg-record',
    `leg ${path.legCount} → leg ${path.legCount + 1}: the only attempt of the proxy in ${netns} ` +
      `to reach ${record.originalDestination} while record ${record.id} was open`,
  );
  return { connection };
}
