import type { TcpConnection } from '../hbone/api.ts';
import type { AccessContext } from './access-log.ts';
import type { Endpoint } from './address.ts';
import { connectApp } from './connect-app.ts';
import { ConnectionReport } from './connection-report.ts';
import type { TrackedConnection } from './connection-tracker.ts';
import { judge } from './judge.ts';
import { OWN_PORTS, selfCall } from './outbound-plan.ts';
import { connectionFailed } from './proxy-error.ts';
import { localWorkload, type ProxyContext } from './proxy-context.ts';
import type { Workload } from './state/workload.ts';

interface Plaintext {
  readonly proxy: ProxyContext;
  readonly connection: TcpConnection;
  readonly report: ConnectionReport;
  readonly tracked: TrackedConnection;
  readonly destination: Endpoint;
}

/**
 * Serves one plaintext connection captured on 15006 to its end: policies without an identity, then
 * the original destination, as the client when the listener is transparent. Never rejects.
 */
export async function serveInboundPassthrough(
  proxy: ProxyContext,
  connection: TcpConnection,
  isTransparent: boolean,
): Promise<void> {
  const destination = connection.originalDestination() ?? connection.local;
  const report = new ConnectionReport(proxy, 'inbound-passthrough', connection, destination);
  const tracked = proxy.connections.track();
  try {
    if (OWN_PORTS.includes(destination.port)) throw selfCall();
    const local = proxy.store.local(proxy.identity) ?? (await localWorkload(proxy, tracked.signal));
    await forward({ proxy, connection, report, tracked, destination }, local, isTransparent);
  } catch (error) {
    connection.close();
    report.fail(tracked.signal.aborted ? tracked.signal.reason : error);
  } finally {
    tracked[Symbol.dispose]();
  }
}

async function forward(plain: Plaintext, local: Workload, isTransparent: boolean): Promise<void> {
  const { proxy, connection, report, tracked, destination } = plain;
  const source = connection.peer;
  report.open(describe(plain, local));
  const view = { source, actualDestination: destination } as const;
  const judged = { source, destination };
  tracked.describe(
    { ...view, direction: 'inbound', protocol: 'TCP' },
    { destination: local, connection: judged },
  );
  const rejection = judge(proxy, local, judged);
  if (rejection) throw rejection;
  const sourceIp = isTransparent ? source.ip : undefined;
  const app = await connectApp(proxy, destination, sourceIp, tracked.signal).catch(
    (error: unknown) => {
      throw connectionFailed(error);
    },
  );
  report.upstream = app;
  const { bytesAToB, bytesBToA, error } = await proxy.dataPath.relay(connection, app, {
    signal: tracked.signal,
  });
  report.close({ bytesSent: bytesBToA, bytesReceived: bytesAToB, error });
}

function describe({ proxy, connection, destination }: Plaintext, local: Workload): AccessContext {
  const { config, store } = proxy;
  return {
    direction: 'inbound',
    sourceAddress: connection.peer,
    destinationAddress: destination,
    source: { workload: store.current.workloadByIp(config.network, connection.peer.ip) },
    destination: { workload: local },
  };
}
