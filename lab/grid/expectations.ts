import type { Era } from '../../dataplane/redirect/era.ts';
import { PASSTHROUGH_SOURCE } from '../../dataplane/redirect/sidecar-constants.ts';
import type { Expectations, Scenario } from '../../topologies/topology.ts';
import { type Cell, nameOf, podsOf } from './cells.ts';

/** What is recorded of a pair: whether its request is encrypted from pod to pod, and why. */
export interface Recorded {
  readonly security: 'mtls' | 'plain';
  readonly why: string;
}

const PORT = 8080;

/** The request of a cell, with what is recorded of its kind in this era as its expectations. */
export function scenarioOf(cell: Cell, era: Era): Scenario {
  const [from, server] = podsOf(cell);
  const to =
    cell.calledBy === 'service'
      ? `http://${server}.${cell.server}/get`
      : `http://pod:${server}:${PORT}/get`;
  const expect = expectationsOf(cell, era);
  return { name: nameOf(cell), before: [], request: { from, to, count: 1 }, expect, line: 0 };
}

function expectationsOf(cell: Cell, era: Era): Expectations {
  const { security } = recordedOf(cell, era);
  const [client, server] = podsOf(cell);
  const isEncrypted = security === 'mtls';
  const nodes = ['node1', 'node2'] as const;
  return {
    status: 200,
    source: cell.server === 'sidecar' ? PASSTHROUGH_SOURCE.ipv4 : client,
    security,
    ...(isEncrypted && {
      identities: { client: identity(cell.client, client), server: identity(cell.server, server) },
    }),
    ...(cell.distance === 'other' &&
      (isEncrypted ? { encryptedBetween: nodes } : { plainBetween: nodes })),
  };
}

function identity(namespace: string, serviceAccount: string): string {
  return `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;
}

/**
 * Who encrypts in which pair, as Istio has it with PERMISSIVE servers and sidecars that do not speak
 * HBONE (`pilot/pkg/networking/core/cluster_builder.go`, `tlsMode`; ztunnel `src/state.rs`).
 */
export function recordedOf({ client, server, distance, calledBy }: Cell, era: Era): Recorded {
  if (client === 'none' && server === 'none') return plain('Nobody is in a mesh.');
  if (client === 'none') return plain('The client has no identity, and PERMISSIVE lets it in.');
  if (server === 'none') return plain('The server has no proxy that could decrypt.');
  if (client === 'sidecar' && server === 'sidecar') {
    return calledBy === 'service'
      ? mtls('Envoy knows which endpoints of a service have sidecars (auto mTLS).')
      : plain('Sidecars know services, not pods: what is called by a pod IP is passed through.');
  }
  if (client === 'sidecar') {
    return plain(
      'Envoy tells by tlsMode, which ambient pods have not; ztunnel lets plain text in.',
    );
  }
  if (server === 'sidecar') {
    return plain(
      'ztunnel knows no HBONE of that pod and passes through; Envoy lets plain text in.',
    );
  }
  return era === 'geneve' && distance === 'same'
    ? plain('One ztunnel holds both ends, and makes no tunnel between them.')
    : mtls('Both pods are HBONE workloads to their ztunnels.');
}

function plain(why: string): Recorded {
  return { security: 'plain', why };
}

function mtls(why: string): Recorded {
  return { security: 'mtls', why };
}
