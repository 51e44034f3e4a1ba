import type {
  HboneServerConnection,
  HboneServerStream,
  PeerChain,
  TcpConnection,
} from '../hbone/api.ts';
import type { Credentials } from '../identity/ca-client.ts';
import { verifyClientNames } from '../identity/peer-names.ts';
import { formatSpiffe, parseSpiffe } from '../identity/spiffe.ts';
import type { AccessContext } from './access-log.ts';
import { connectApp } from './connect-app.ts';
import { ConnectionReport } from './connection-report.ts';
import type { TrackedConnection } from './connection-tracker.ts';
import {
  acceptTraceparent,
  type Baggage,
  formatBaggage,
  parseBaggage,
  parseForwardedHost,
} from './headers.ts';
import { InboundRefusal, type InboundTarget, resolveInbound } from './inbound-request.ts';
import { judge } from './judge.ts';
import { encodeProxyProtocol } from './proxy-protocol.ts';
import { localWorkload, ownIdentity, ownIdentityText, type ProxyContext } from './proxy-context.ts';
import { connectionFailed, ProxyError } from './proxy-error.ts';
import { type Workload, workloadIdentity } from './state/workload.ts';
import { inboundTlsError } from './tls-errors.ts';
import { waypointWorkloads } from './upstream.ts';

/** What accepting tunnels needs beyond the proxy: whether sources can be preserved, and its end. */
export interface InboundListener {
  readonly proxy: ProxyContext;
  readonly isTransparent: boolean;
  readonly signal: AbortSignal;
}

/**
 * Makes an HBONE connection of one accepted on 15008; its streams are served as they come. Undefined
 * (and one log line) when the handshake fails. Never rejects.
 */
export async function acceptTunnel(
  listener: InboundListener,
  connection: TcpConnection,
): Promise<HboneServerConnection | undefined> {
  const { proxy, signal } = listener;
  const { config, dataPath } = proxy;
  const { peer, local } = connection;
  const report = new ConnectionReport(proxy, 'inbound', { peer, local });
  let trustDomain = '';
  try {
    const workload = proxy.store.local(proxy.identity) ?? (await localWorkload(proxy, signal));
    trustDomain = workload.trustDomain;
    return await dataPath.acceptHbone(connection, {
      credentials: () => credentialsFor(proxy, workload),
      verifyPeer: (chain: PeerChain) => formatSpiffe(verifyClientNames(chain.leaf, trustDomain)),
      onStream: (stream) => void serveStream(listener, stream),
      settings: {
        streamWindowBytes: config.http2.streamWindowBytes,
        connectionWindowBytes: config.http2.connectionWindowBytes,
        maxFrameBytes: config.http2.frameBytes,
      },
      signal,
    });
  } catch (error) {
    connection.close();
    if (!signal.aborted) report.fail(inboundTlsError(error, trustDomain));
    return undefined;
  }
}

function credentialsFor(
  proxy: ProxyContext,
  workload: Workload,
): Credentials | Promise<Credentials> {
  const identity = ownIdentity(proxy, workload);
  const ready = proxy.certificates.peek(identity);
  if (ready) return ready.credentials;
  return proxy.certificates.get(identity).then(({ credentials }) => credentials);
}

/** Serves one CONNECT to its end. Never rejects. */
async function serveStream(listener: InboundListener, stream: HboneServerStream): Promise<void> {
  const { proxy } = listener;
  const { peer, local } = stream.connection;
  const report = new ConnectionReport(proxy, 'inbound', { peer, local });
  report.originalDestination = stream.authority;
  report.tunnel = stream.tunnel;
  report.traceparent = acceptTraceparent(stream.header('traceparent'));
  const tracked = proxy.connections.track();
  try {
    await serve(listener, stream, report, tracked);
  } catch (error) {
    const reason: unknown = tracked.signal.aborted ? tracked.signal.reason : error;
    if (error instanceof InboundRefusal) stream.respond(error.status, [], true);
    else stream.resetStream();
    report.fail(reason instanceof InboundRefusal ? reason.reason : reason);
  } finally {
    tracked[Symbol.dispose]();
  }
}

async function serve(
  listener: InboundListener,
  stream: HboneServerStream,
  report: ConnectionReport,
  tracked: TrackedConnection,
): Promise<void> {
  const { proxy } = listener;
  const { config } = proxy;
  const target = resolveInbound({
    state: proxy.store.current,
    local: proxy.store.local(proxy.identity),
    identity: proxy.identity,
    connection: stream.connection,
    method: stream.method,
    authority: stream.authority,
    network: config.network,
    localhostAppTunnel: config.localhostAppTunnel,
  });
  report.open(describe(proxy, stream, target));
  authorize(proxy, stream, target, tracked);
  const source = listener.isTransparent && target.preservesSource;
  const { peer } = stream.connection;
  const app = await connectApp(
    proxy,
    target.upstream,
    source ? peer.ip : undefined,
    tracked.signal,
  ).catch((error: unknown) => {
    throw refused503(connectionFailed(error));
  });
  report.upstream = app;
  const { local } = target;
  const baggage = formatBaggage(local, config.clusterId);
  stream.respond(200, config.responseBaggage ? [['baggage', baggage]] : []);
  if (target.proxyProtocolDestination) {
    const { peerIdentity } = stream.connection;
    app.write(encodeProxyProtocol(peer, target.proxyProtocolDestination, peerIdentity));
  }
  const { bytesAToB, bytesBToA, error } = await proxy.dataPath.relay(stream, app, {
    signal: tracked.signal,
  });
  report.close({ bytesSent: bytesBToA, bytesReceived: bytesAToB, error });
}

function refused503(reason: ProxyError): InboundRefusal {
  return new InboundRefusal(503, reason);
}

function authorize(
  proxy: ProxyContext,
  stream: HboneServerStream,
  target: InboundTarget,
  tracked: TrackedConnection,
): void {
  const { peer, local, peerIdentity } = stream.connection;
  const forwarded = stream.header('forwarded');
  const connection = {
    source: peer,
    destination: target.upstream,
    identity: parseSpiffe(peerIdentity),
  };
  tracked.describe(
    {
      direction: 'inbound',
      source: peer,
      originalDestination: forwarded === undefined ? undefined : parseForwardedHost(forwarded),
      actualDestination: { ip: local.ip, port: target.upstream.port },
      protocol: 'HBONE',
    },
    { destination: target.local, connection },
  );
  const rejection = judge(proxy, target.local, connection);
  if (rejection) throw new InboundRefusal(401, rejection);
  if (proxy.isNodeLevel === true) refuseBypass(proxy, target.local, peerIdentity);
}

/** 1.18 to 1.21: what has a waypoint takes connections from that alone. */
function refuseBypass({ store }: ProxyContext, local: Workload, peerIdentity: string): void {
  const { waypoint } = local;
  if (waypoint === undefined) return;
  const allowed = waypointWorkloads(store.current, waypoint, local.namespace).map(workloadIdentity);
  if (allowed.includes(peerIdentity)) return;
  throw new InboundRefusal(401, new ProxyError('waypoint-bypass', 'bypassed waypoint'));
}

function describe(
  proxy: ProxyContext,
  stream: HboneServerStream,
  { local, service }: InboundTarget,
): AccessContext {
  const { config, store } = proxy;
  const { peer, local: accepted, peerIdentity } = stream.connection;
  const foreign = stream.header('x-forwarded-network');
  const isThroughGateway =
    foreign !== undefined && foreign.toLowerCase() !== config.network.toLowerCase();
  return {
    direction: 'inbound',
    sourceAddress: peer,
    destinationAddress: accepted,
    hboneTarget: stream.authority,
    service: service?.hostname,
    source: {
      workload: isThroughGateway ? undefined : store.current.workloadByIp(config.network, peer.ip),
      baggage: requestBaggage(proxy, stream),
      identity: peerIdentity,
    },
    destination: { workload: local, identity: ownIdentityText(proxy, local) },
  };
}

function requestBaggage({ config }: ProxyContext, stream: HboneServerStream): Baggage | undefined {
  const header = config.responseBaggage ? stream.header('baggage') : undefined;
  return header === undefined ? undefined : parseBaggage(header);
}
