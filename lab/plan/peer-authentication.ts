import type { MtlsMode, MtlsModes } from '../../dataplane/envoy/sidecar-input.ts';
import { ROOT_NAMESPACE } from '../../topologies/expand.ts';
import type { KubernetesObject } from '../../topologies/objects.ts';
import type { MutualTls, PeerAuthentication } from '../../topologies/peer-authentication.ts';
import type { PodPlan } from './plan.ts';

/** The objects that hold for a pod, at most one of each scope: the oldest. */
interface EffectivePeerAuthentication {
  readonly mesh?: PeerAuthentication;
  readonly namespace?: PeerAuthentication;
  readonly workload?: PeerAuthentication;
}

/** PeerAuthentication objects of a lab, the oldest first; those without an age in file order. */
export function peerAuthenticationsOf(
  objects: readonly KubernetesObject[],
): readonly PeerAuthentication[] {
  return objects
    .filter((object) => object.kind === 'PeerAuthentication')
    .map((object) => ({ object, age: Date.parse(createdAt(object)) }))
    .sort((a, b) => a.age - b.age)
    .map(({ object }) => object);
}

function createdAt({ metadata }: PeerAuthentication): string {
  const { creationTimestamp } = metadata as { readonly creationTimestamp?: unknown };
  return typeof creationTimestamp === 'string' ? creationTimestamp : '9999-12-31';
}

/**
 * Which objects hold for a pod (`pilot/pkg/security/authn/policy_applier.go`,
 * ComposePeerAuthentication): one with a selector in the root namespace holds for nobody.
 */
export function effectiveFor(
  { namespace, labels }: Pick<PodPlan, 'namespace' | 'labels'>,
  all: readonly PeerAuthentication[],
): EffectivePeerAuthentication {
  const within = (scope: string): PeerAuthentication | undefined =>
    all.find((each) => each.metadata.namespace === scope && selectorOf(each).length === 0);
  const mesh = within(ROOT_NAMESPACE);
  const own = namespace === ROOT_NAMESPACE ? undefined : within(namespace);
  const workload = all.find(
    (each) =>
      each.metadata.namespace === namespace &&
      namespace !== ROOT_NAMESPACE &&
      selectorOf(each).length > 0 &&
      selectorOf(each).every(([key, value]) => labels[key] === value),
  );
  return {
    ...(mesh && { mesh }),
    ...(own && { namespace: own }),
    ...(workload && { workload }),
  };
}

/** Modes of a pod: what is unset is as in the scope around it, PERMISSIVE where nothing is set. */
export function mtlsModesOf(
  pod: Pick<PodPlan, 'namespace' | 'labels'>,
  all: readonly PeerAuthentication[],
): MtlsModes {
  const { mesh, namespace, workload } = effectiveFor(pod, all);
  const around = modeOf(namespace?.spec?.mtls) ?? modeOf(mesh?.spec?.mtls) ?? 'PERMISSIVE';
  const mode = modeOf(workload?.spec?.mtls) ?? around;
  const ports = Object.entries(workload?.spec?.portLevelMtls ?? {}).map(
    ([port, mtls]) => [Number(port), modeOf(mtls) ?? mode] as const,
  );
  return { mode, ports: Object.fromEntries(ports) };
}

/** A mode that is set. */
export function modeOf(mtls: MutualTls | null | undefined): MtlsMode | undefined {
  const mode = mtls?.mode;
  return mode === undefined || mode === 'UNSET' ? undefined : mode;
}

/** Labels that a pod must have. */
export function selectorOf({ spec }: PeerAuthentication): readonly (readonly [string, string])[] {
  return Object.entries(spec?.selector?.matchLabels ?? {});
}
