import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { sidecarBootstrap } from '../../../dataplane/envoy/bootstrap.ts';
import type { OutboundService, SidecarInput } from '../../../dataplane/envoy/sidecar-input.ts';
import { createFileCa, loadFileCa } from '../../../dataplane/identity/file-ca.ts';
import { formatSpiffe } from '../../../dataplane/identity/spiffe.ts';
import { SIDECAR_UID } from '../../../dataplane/redirect/sidecar-constants.ts';
import { HTTP_PORT, SINK_PORT, running, type Variant } from './variants.ts';
import type { BenchPod, BenchWorld } from './world.ts';

const SERVICE_IP = '10.98.0.1';
/** As Istio starts it when nobody sets limits. */
const WORKERS = '2';
/** Of records that only the lab wants; see `withoutRecords`. */
const RECORDS = '/dev/null';

/**
 * Envoy as the sidecars of two injected pods, the app's port read as HTTP: Istio's configuration,
 * rules, user, mutual TLS and access log, without the filters that only Istio's build has.
 */
export async function envoyVariant(
  world: BenchWorld,
  envoy: string,
  client: BenchPod,
  server: BenchPod,
): Promise<Variant> {
  const issuer = loadFileCa(createFileCa({ dir: join(world.directory, 'envoy-ca') }));
  const service = serviceOf(server);
  const start = async (pod: BenchPod): Promise<ChildProcess> => {
    const { credentials } = await issuer.fetchCertificate(identityOf(pod));
    const isServer = pod === server;
    const input: SidecarInput = {
      pod: { name: pod.name, namespace: 'default', node: pod.name, addresses: [pod.ip] },
      credentials,
      trustDomain: 'cluster.local',
      mtls: { mode: 'PERMISSIVE', ports: {} },
      isTproxy: false,
      hasIpv6: false,
      hbone: { listens: false, sends: false },
      inboundPorts: isServer ? service.ports : [],
      services: [service],
      files: { accessLog: '/dev/stdout', legLog: RECORDS, keyLog: RECORDS },
    };
    const config = JSON.stringify(withoutRecords(sidecarBootstrap(input)));
    const file = world.write(`envoy-${pod.name}.json`, config);
    const argv = [envoy, '-c', file, '--concurrency', WORKERS, '--disable-hot-restart'];
    const options = { uid: SIDECAR_UID };
    return world.startLogged(pod, `envoy-${pod.name}`, [...argv, '--log-level', 'warn'], options);
  };
  const children = [await start(client), await start(server)];
  const ports = { httpPort: HTTP_PORT, sinkPort: SINK_PORT };
  return { name: 'envoy', client, host: SERVICE_IP, ...ports, ...running(world, children) };
}

function identityOf(pod: BenchPod): Parameters<typeof formatSpiffe>[0] {
  return { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: pod.name };
}

function serviceOf(server: BenchPod): OutboundService {
  const endpoint = (port: number) => ({
    address: server.ip,
    port,
    identity: formatSpiffe(identityOf(server)),
    security: 'istio' as const,
  });
  return {
    name: 'app',
    namespace: 'default',
    hostname: 'app.default.svc.cluster.local',
    vips: [SERVICE_IP],
    ports: [
      { port: HTTP_PORT, protocol: 'http', endpoints: [endpoint(HTTP_PORT)] },
      { port: SINK_PORT, protocol: 'tcp', endpoints: [endpoint(SINK_PORT)] },
    ],
  };
}

/** Without the log of legs and of TLS keys, which the lab adds and no cluster's Envoy pays for. */
export function withoutRecords(config: unknown): unknown {
  if (Array.isArray(config)) return config.filter((each) => !isRecord(each)).map(withoutRecords);
  if (typeof config !== 'object' || config === null) return config;
  const kept = Object.entries(config).filter(([name]) => name !== 'key_log');
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutRecords(value)]));
}

function isRecord(item: unknown): boolean {
  const config = (item as { readonly typed_config?: { readonly path?: unknown } }).typed_config;
  return config?.path === RECORDS;
}
