import type { MtlsMode } from '../../dataplane/envoy/sidecar-input.ts';
import { ROOT_NAMESPACE } from '../../topologies/expand.ts';
import type { PeerAuthentication } from '../../topologies/peer-authentication.ts';
import type { StaticPolicy } from './inputs.ts';
import { effectiveFor, modeOf, mtlsModesOf, selectorOf } from './peer-authentication.ts';
import type { PodPlan } from './plan.ts';

type Clauses = StaticPolicy['rules'][number];
type Match = Clauses[number][number];

/** The policy that every workload names whose mode is STRICT; `_` is in no name of an object. */
const STATIC_STRICT = 'istio_converted_static_strict';
const CONVERTED = 'converted_peer_authentication_';
/** Whoever has no identity. */
const NOBODY: Match = { notPrincipals: [{ tag: 'Presence', value: [] }] };

/**
 * What ztunnels get instead of PeerAuthentication objects: policies that deny whoever has no
 * identity (`pilot/pkg/serviceregistry/ambient/authorization.go`, convertPeerAuthentication). None
 * when there is no such object.
 */
export function policiesOfPeerAuthentication(
  all: readonly PeerAuthentication[],
): readonly StaticPolicy[] {
  if (all.length === 0) return [];
  const strict = denying(ROOT_NAMESPACE, STATIC_STRICT, [[[NOBODY]]]);
  return [strict, ...all.flatMap((each) => policiesOfPorts(each, all))];
}

/** Names of those that hold for a pod: the static one, or the one with its ports. */
export function policyNamesFor(
  pod: Pick<PodPlan, 'namespace' | 'labels'>,
  all: readonly PeerAuthentication[],
): readonly string[] {
  const { mode } = mtlsModesOf(pod, all);
  const { workload } = effectiveFor(pod, all);
  const own = workload && policiesOfPorts(workload, all)[0];
  const strict = mode === 'STRICT' ? [`${ROOT_NAMESPACE}/${STATIC_STRICT}`] : [];
  // The one with ports says for itself that all others are strict.
  return own === undefined ? strict : [`${own.namespace}/${own.name}`];
}

function denying(namespace: string, name: string, rules: StaticPolicy['rules']): StaticPolicy {
  return { name, namespace, scope: 'WorkloadSelector', action: 'Deny', dryRun: false, rules };
}

/** The policy of a workload's ports, where one of them differs from the rest. */
function policiesOfPorts(
  own: PeerAuthentication,
  all: readonly PeerAuthentication[],
): readonly StaticPolicy[] {
  const { name, namespace = 'default' } = own.metadata;
  if (namespace === ROOT_NAMESPACE || selectorOf(own).length === 0) return [];
  const mode = modeAround(own, all);
  const ports = Object.entries(own.spec?.portLevelMtls ?? {}).map(
    ([port, mtls]) => ({ port: Number(port), mode: modeOf(mtls) ?? mode }) as const,
  );
  const differing = ports.filter((each) => (each.mode === 'STRICT') !== (mode === 'STRICT'));
  if (differing.length === 0) return [];
  const rules =
    mode === 'STRICT'
      ? [[[NOBODY], ...differing.map(({ port }) => [{ notDestinationPorts: [port] }])]]
      : differing.map(({ port }) => [[{ ...NOBODY, destinationPorts: [port] }]]);
  return [denying(namespace, `${CONVERTED}${name}`, rules)];
}

/** Mode of ports that the object does not name. */
function modeAround(own: PeerAuthentication, all: readonly PeerAuthentication[]): MtlsMode {
  const set = modeOf(own.spec?.mtls);
  const { namespace = 'default' } = own.metadata;
  return set ?? mtlsModesOf({ namespace, labels: {} }, all).mode;
}
