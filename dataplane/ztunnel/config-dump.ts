import { X509Certificate } from 'node:crypto';
import type { CertificateState, CertificateStore } from '../identity/certificate-store.ts';
import { readCertificates } from '../identity/file-ca.ts';
import type { ZtunnelConfig } from './config.ts';
import { dumpConfig } from './config-dump-settings.ts';
import { dumpPolicy, dumpService, dumpWorkload } from './config-dump-state.ts';
import type { ConnectionView } from './connection-tracker.ts';
import { formatEndpoint } from './address.ts';
import { policyKey } from './state/policy.ts';
import type { StateStore } from './state/state-store.ts';
import { readStaticState } from './state/static-source.ts';
import type { WorkloadStateView } from './workload-manager.ts';

/** Where the parts of a dump come from. */
export interface ConfigDumpSource {
  readonly config: ZtunnelConfig;
  readonly store: StateStore;
  readonly certificates: CertificateStore;
  /** Shared mode only. */
  readonly workloads?: () => readonly WorkloadStateView[];
}

type Json = Record<string, unknown>;

/** `/config_dump` in ztunnel's shape (`src/admin.rs`); keys in alphabetical order. */
export function configDump(source: ConfigDumpSource): Json {
  const { config, store, certificates, workloads } = source;
  const { current } = store;
  const by =
    <T>(key: (value: T) => string) =>
    (a: T, b: T) =>
      key(a) < key(b) ? -1 : 1;
  return {
    certificates: certificates
      .states()
      .map(([identity, state]) => dumpCertificate(identity, state)),
    config: dumpConfig(config),
    policies: [...current.policies.values()].sort(by(policyKey)).map(dumpPolicy),
    services: [...current.services.values()].sort(by((s) => s.hostname)).map(dumpService),
    stagedServices: dumpStaged(store),
    staticConfig: dumpStatic(config),
    version: dumpVersion(),
    ...(workloads && { workloadState: dumpWorkloadStates(workloads()) }),
    workloads: [...current.workloads.values()].sort(by((w) => w.uid)).map(dumpWorkload),
  };
}

/** The file as it is now, as ztunnel re-reads it for each dump. */
function dumpStatic({ state }: ZtunnelConfig): Json {
  const loaded = readStaticState(state);
  return {
    policies: loaded.policies.map(dumpPolicy),
    services: loaded.services.map(dumpService),
    workloads: loaded.workloads.map((workload) => ({
      ...dumpWorkload(workload),
      services: Object.fromEntries(
        [...workload.services].map(([key, ports]) => [key, Object.fromEntries(ports)]),
      ),
    })),
  };
}

function dumpStaged({ current }: StateStore): Json {
  const staged = [...current.stagedServices].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    staged.map(([key, endpoints]) => [
      key,
      Object.fromEntries(
        [...endpoints].map(([uid, { workloadUid, port, status }]) => [
          uid,
          { port: Object.fromEntries(port), status, workloadUid },
        ]),
      ),
    ]),
  );
}

function dumpVersion(): Json {
  return {
    buildProfile: 'release',
    buildStatus: 'Clean',
    cryptoProvider: `openssl-${process.versions.openssl}`,
    gitRevision: 'unknown',
    istioVersion: process.env['ISTIO_META_ISTIO_VERSION'] ?? 'unknown',
    nodeVersion: process.versions.node,
    version: 'ambient-lab',
  };
}

function dumpCertificate(identity: string, state: CertificateState): Json {
  switch (state.kind) {
    case 'initializing':
      return { certChain: [], identity, rootCerts: [], state: 'Initializing' };
    case 'unavailable':
      return {
        certChain: [],
        identity,
        rootCerts: [],
        state: `Unavailable: ${state.error.message}`,
      };
    case 'available': {
      const { certificateChain, roots } = state.certificate.credentials;
      return {
        certChain: readCertificates(certificateChain).map(dumpX509),
        identity,
        rootCerts: readCertificates(roots).map(dumpX509),
        state: 'Available',
      };
    }
  }
}

function dumpX509(certificate: X509Certificate): Json {
  const time = (text: string): string => new Date(text).toISOString().replace('.000', '');
  return {
    expirationTime: time(certificate.validTo),
    pem: Buffer.from(certificate.toString()).toString('base64'),
    serialNumber: BigInt(`0x${certificate.serialNumber}`).toString(),
    validFrom: time(certificate.validFrom),
  };
}

function dumpWorkloadStates(views: readonly WorkloadStateView[]): Json {
  const sorted = [...views].sort((a, b) => (a.uid < b.uid ? -1 : 1));
  return Object.fromEntries(
    sorted.map(({ uid, state, identity, connections }) => [
      uid,
      {
        connections: {
          inbound: connectionsOf(connections, 'inbound'),
          outbound: connectionsOf(connections, 'outbound'),
        },
        info: {
          name: identity.name,
          namespace: identity.namespace,
          serviceAccount: identity.serviceAccount,
        },
        state,
      },
    ]),
  );
}

function connectionsOf(
  views: readonly ConnectionView[],
  direction: ConnectionView['direction'],
): Json[] {
  return views
    .filter((view) => view.direction === direction)
    .map((view) => ({
      actualDst: formatEndpoint(view.actualDestination),
      originalDst: view.originalDestination ?? null,
      protocol: view.protocol,
      src: formatEndpoint(view.source),
    }));
}
