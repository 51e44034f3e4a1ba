import type {
  ByteChannel,
  HbonePool,
  HbonePoolKey,
  PeerChain,
  TcpConnection,
} from '../hbone/api.ts';
import { HttpStatusError } from '../hbone/errors.ts';
import type { Credentials } from '../identity/ca-client.ts';
import { verifyServerNames } from '../identity/peer-names.ts';
import { formatSpiffe, parseSpiffe } from '../identity/spiffe.ts';
import type { AccessContext } from './access-log.ts';
import { type Endpoint, formatEndpoint } from './address.ts';
import { connectApp } from './connect-app.ts';
import { ConnectionReport } from './connection-report.ts';
import type { ConnectionView, TrackedConnection } from './connection-tracker.ts';
import { formatBaggage, formatForwarded, newTraceparent } from './headers.ts';
import { judge } from './judge.ts';
import { type OutboundPlan, planOutbound } from './outbound-plan.ts';
import { ioError, ProxyError } from './proxy-error.ts';
import { localWorkload, ownIdentityText, type ProxyContext } from './proxy-context.ts';
import { resolveDialAddress } from './resolve-dial.ts';
import { type SameNodePlan, shorten } from './same-node.ts';
import type { Workload } from './state/workload.ts';
import { outboundError } from './tls-errors.ts';

interface Captured {
  readonly proxy: ProxyContext;
  readonly pool: HbonePool;
  readonly connection: TcpConnection;
  readonly report: ConnectionReport;
  readonly tracked: TrackedConnection;
  readonly source: Workload;
  readonly client: Endpoint;
  readonly target: Endpoint;
}

/** The tunnels of one workload as client: its own sockets, certificates and name checks. */
export function createOutboundPool(proxy: ProxyContext): HbonePool {
  const { config, dataPath, sockets } = proxy;
  return dataPath.createPool({
    connectTcp: ({ destination, sourceIp }, signal) =>
      proxy.isNodeLevel === true
        ? connectApp(proxy, destination, sourceIp, signal)
        : dataPath.connect(sockets.connectTcp(destination), destination, { signal }),
    credentials: (key) => credentialsFor(proxy, key),
    verifyPeer: (chain: PeerChain, key: HbonePoolKey) =>
      formatSpiffe(verifyServerNames(chain.leaf, key.destinationIdentities)),
    settings: {
      streamWindowBytes: config.http2.streamWindowBytes,
      connectionWindowBytes: config.http2.connectionWindowBytes,
      maxFrameBytes: config.http2.frameBytes,
    },
    maxStreamsPerConnection: config.poolMaxStreams,
    idleReleaseMs: config.poolUnusedReleaseMs,
  });
}

function credentialsFor(
  { certificates }: ProxyContext,
  key: HbonePoolKey,
): Credentials | Promise<Credentials> {
  const identity = parseSpiffe(key.sourceIdentity);
  if (!identity) {
    throw new ProxyError('identity', `identity error: bad identity ${key.sourceIdentity}`);
  }
  const ready = certificates.peek(identity);
  if (ready) return ready.credentials;
  return certificates.get(identity).then(({ credentials }) => credentials);
}

/** Serves one connection captured on 15001 to its end. Never rejects. */
export async function serveOutbound(
  proxy: ProxyContext,
  pool: HbonePool,
  connection: TcpConnection,
): Promise<void> {
  const target = connection.originalDestination() ?? connection.local;
  const client = connection.peer;
  const report = new ConnectionReport(proxy, 'outbound', connection, target);
  const tracked = proxy.connections.track();
  try {
    const source =
      proxy.hairpinClient ??
      proxy.store.local(proxy.identity) ??
      (await localWorkload(proxy, tracked.signal));
    await forward({ proxy, pool, connection, report, tracked, source, client, target });
  } catch (error) {
    // Unread bytes of the client make the kernel answer with RST, as after a drop in ztunnel.
    connection.close();
    report.fail(tracked.signal.aborted ? tracked.signal.reason : error);
  } finally {
    tracked[Symbol.dispose]();
  }
}

async function forward(captured: Captured): Promise<void> {
  const { proxy, connection, report, tracked, source, client, target } = captured;
  const planned = planOutbound({
    state: proxy.store.current,
    source,
    client,
    target,
    network: proxy.config.network,
    random: Math.random,
  });
  const plan = proxy.isNodeLevel === true ? shorten(planned, proxy.config.nodeName) : planned;
  const { destination } = plan;
  const dial: Endpoint =
    destination.kind === 'ip' ? destination : await resolveDialAddress(destination);
  report.open(describe(captured, plan, dial));
  const view = {
    direction: 'outbound',
    source: client,
    originalDestination: formatEndpoint(target),
    actualDestination: dial,
    protocol: PROTOCOLS[plan.kind],
  } as const;
  if (plan.kind === 'same-node') admit(captured, plan.workload, dial, view);
  else tracked.describe(view);
  const upstream = await connectUpstream(captured, plan, dial);
  const { bytesAToB, bytesBToA, error } = await proxy.dataPath.relay(connection, upstream, {
    signal: tracked.signal,
  });
  report.close({ bytesSent: bytesAToB, bytesReceived: bytesBToA, error });
}

const PROTOCOLS = {
  tcp: 'TCP',
  'same-node': 'HBONE',
  hbone: 'HBONE',
  'double-hbone': 'DOUBLEHBONE',
} as const;

type Plan = OutboundPlan | SameNodePlan;

/** The inbound half of the way to a pod of this node, judged with the client's own identity. */
function admit(
  { proxy, tracked, source, client }: Captured,
  destination: Workload,
  dial: Endpoint,
  view: ConnectionView,
): void {
  const connection = {
    source: client,
    destination: dial,
    identity: parseSpiffe(ownIdentityText(proxy, source)),
  };
  tracked.describe(view, { destination, connection });
  const rejection = judge(proxy, destination, connection);
  if (rejection) throw rejection;
}

function describe({ proxy, source, client }: Captured, plan: Plan, dial: Endpoint): AccessContext {
  const isTunnel = plan.kind === 'hbone' || plan.kind === 'double-hbone';
  return {
    direction: 'outbound',
    sourceAddress: client,
    destinationAddress: dial,
    hboneTarget: isTunnel ? plan.authority : undefined,
    service: plan.service?.hostname,
    source: { workload: source, identity: isTunnel ? ownIdentityText(proxy, source) : undefined },
    destination: {
      workload: plan.workload,
      // The peer is verified against this list before a byte is sent; the workload's own is last.
      identity: isTunnel ? plan.expectedIdentities.at(-1) : undefined,
    },
  };
}

async function connectUpstream(
  captured: Captured,
  plan: Plan,
  dial: Endpoint,
): Promise<ByteChannel> {
  switch (plan.kind) {
    case 'tcp':
    case 'same-node':
      return connectPlain(captured, dial);
    case 'hbone':
      return connectTunnel(captured, plan, dial);
    case 'double-hbone':
      throw new ProxyError(
        'not-supported',
        `double HBONE to ${plan.authority} through a network gateway is not supported yet`,
      );
  }
}

async function connectPlain(
  { proxy, report, tracked, client }: Captured,
  dial: Endpoint,
): Promise<ByteChannel> {
  const { signal } = tracked;
  try {
    const sourceIp = proxy.isNodeLevel === true ? client.ip : undefined;
    const upstream = await connectApp(proxy, dial, sourceIp, signal);
    report.upstream = upstream;
    return upstream;
  } catch (error) {
    throw ioError(error);
  }
}

async function connectTunnel(
  captured: Captured,
  plan: OutboundPlan & { readonly kind: 'hbone' },
  dial: Endpoint,
): Promise<ByteChannel> {
  const { proxy, pool, report, tracked, source, client } = captured;
  const traceparent = newTraceparent();
  const key: HbonePoolKey = {
    sourceIdentity: ownIdentityText(proxy, source),
    destinationIdentities: plan.expectedIdentities,
    destination: dial,
    sourceIp: (proxy.hairpinClient && proxy.config.instanceIp) ?? client.ip,
  };
  report.traceparent = traceparent;
  if (!proxy.config.poolEnabled) pool.renew();
  try {
    const stream = await pool.connect(key, {
      authority: plan.authority,
      headers: [
        ['baggage', formatBaggage(source, proxy.config.clusterId)],
        ['forwarded', formatForwarded(client, plan.service?.hostname)],
        ['traceparent', traceparent],
      ],
      signal: tracked.signal,
    });
    report.tunnel = stream.tunnel;
    return stream;
  } catch (error) {
    if (error instanceof HttpStatusError) report.tunnel = error.tunnel;
    throw outboundError(error);
  }
}
