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

/** What of a world decides who encrypts. */
export interface GridKind {
  readonly era: Era;
  /** Whether sidecars take and send HBONE, as with Istio's ambient profile. */
  readonly sidecarsSpeakHbone: boolean;
}

/** The request of a cell, with what is recorded of its kind of pair as its expectations. */
export function scenarioOf(cell: Cell, kind: GridKind): Scenario {
  const [from, server] = podsOf(cell);
  const to =
    cell.calledBy === 'service'
      ? `http://${server}.${cell.server}/get`
      : `http://pod:${server}:${PORT}/get`;
  const expect = expectationsOf(cell, kind);
  return { name: nameOf(cell), before: [], request: { from, to, count: 1 }, expect, line: 0 };
}

function expectationsOf(cell: Cell, kind: GridKind): Expectations {
  const { security } = recordedOf(cell, kind);
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
 * Who encrypts in which pair, as Istio has it with PERMISSIVE servers
 * (`pilot/pkg/networking/core/cluster_builder.go`, `tlsMode`; ztunnel `src/state.rs`).
 */
export function recordedOf({ client, server, distance, calledBy }: Cell, kind: GridKind): Recorded {
  if (client === 'none' && server === 'none') return plain('Nobody is in a mesh.');
  if (client === 'none') return plain('The client has no identity, and PERMISSIVE lets it in.');
  if (server === 'none') return plain('The server has no proxy that could decrypt.');
  if (client === 'sidecar') return ofSidecar(server, calledBy, kind);
  if (server === 'sidecar') {
    return kind.sidecarsSpeakHbone
      ? mtls('The pod announces HBONE: ztunnel makes the tunnel, Envoy ends it on 15008.')
      : plain('The pod announces no HBONE: ztunnel passes through, Envoy lets plain text in.');
  }
  return kind.era === 'geneve' && distance === 'same'
    ? plain('One ztunnel holds both ends, and makes no tunnel between them.')
    : mtls('Both pods are HBONE workloads to their ztunnels.');
}

function ofSidecar(
  server: Cell['server'],
  calledBy: Cell['calledBy'],
  { sidecarsSpeakHbone }: GridKind,
): Recorded {
  if (server === 'ambient' && !sidecarsSpeakHbone) {
    return plain(
      'Envoy tells by tlsMode, which ambient pods have not; ztunnel lets plain text in.',
    );
  }
  if (calledBy === 'pod') {
    return plain('Sidecars know services, not pods: what is called by a pod IP is passed through.');
  }
  return server === 'ambient'
    ? mtls('Envoy knows the endpoints as ambient ones, and makes the HBONE tunnel itself.')
    : mtls('Envoy knows which endpoints of a service have sidecars (auto mTLS).');
}

function plain(why: string): Recorded {
  return { security: 'plain', why };
}

function mtls(why: string): Recorded {
  return { security: 'mtls', why };
}
