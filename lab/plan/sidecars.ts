import type { MtlsModes } from '../../dataplane/envoy/sidecar-input.ts';
import { RedirectOptionsError } from '../../dataplane/redirect/errors.ts';
import { sidecarOptionsOf } from '../../dataplane/redirect/sidecar-annotations.ts';
import type { SidecarOptions } from '../../dataplane/redirect/sidecar-options.ts';
import { INJECT_LABEL, INJECTION_LABEL } from '../../topologies/expand.ts';
import type { KubernetesObject } from '../../topologies/objects.ts';
import type { ProxyMetadata } from '../../topologies/proxy-metadata.ts';
import { PlanError } from './errors.ts';
import { mtlsModesOf, peerAuthenticationsOf } from './peer-authentication.ts';
import type { Plan, PodPlan } from './plan.ts';
import { type ProxyConfig, proxyConfigOf } from './proxy-config.ts';

/** The sidecar of a pod: what its rules redirect, and what its Envoy takes. */
export interface SidecarPlan extends ProxyConfig {
  /** What istio-init is told; absent where interception mode is NONE. */
  readonly redirect?: SidecarOptions;
  readonly mtls: MtlsModes;
}

/** Namespaces whose pods are never injected (`neverInject` of the injector's chart). */
const EXCLUDED_NAMESPACES = ['kube-system', 'kube-public', 'istio-system'];

/**
 * Whether labels ask for a sidecar, as Istio's webhook decides: the label of the pod (or its
 * annotation of the same name) before that of the namespace.
 */
export function asksForSidecar(
  pod: Pick<PodPlan, 'namespace' | 'labels' | 'annotations'>,
  namespaceLabels: Readonly<Record<string, string>>,
): boolean {
  if (EXCLUDED_NAMESPACES.includes(pod.namespace)) return false;
  const namespace = namespaceLabels[INJECTION_LABEL];
  if (namespace === 'disabled') return false;
  const own = pod.labels[INJECT_LABEL] ?? pod.annotations[INJECT_LABEL];
  return own === undefined ? namespace === 'enabled' : own === 'true';
}

/**
 * The pods, those with a sidecar told what it does. Such a pod is never enrolled in ambient.
 * @throws {PlanError} LAB_BAD_ANNOTATION for an annotation of Istio's that says nothing
 */
export function withSidecars(
  pods: readonly PodPlan[],
  objects: readonly KubernetesObject[],
  mesh: ProxyMetadata,
): PodPlan[] {
  const labels = new Map(
    objects.flatMap(({ kind, metadata }) =>
      kind === 'Namespace' ? [[metadata.name, metadata.labels ?? {}] as const] : [],
    ),
  );
  const authentications = peerAuthenticationsOf(objects);
  return pods.map((pod) => {
    if (pod.system || !asksForSidecar(pod, labels.get(pod.namespace) ?? {})) return pod;
    const config = proxyConfigOf(pod, mesh);
    const redirect = redirectOf(pod, config);
    const mtls = mtlsModesOf(pod, authentications);
    const sidecar = { ...config, ...(redirect && { redirect }), mtls };
    return { ...pod, enrolled: false, sidecar };
  });
}

/** Pods of a plan that have a sidecar. */
export function injectedPods({ pods }: Pick<Plan, 'pods'>): readonly PodPlan[] {
  return pods.filter(({ sidecar }) => sidecar !== undefined);
}

function redirectOf(
  pod: PodPlan,
  { dnsCapture, dropInvalid }: ProxyConfig,
): SidecarOptions | undefined {
  try {
    const options = sidecarOptionsOf(pod.annotations, dnsCapture);
    return options && dropInvalid ? { ...options, dropInvalid } : options;
  } catch (error) {
    if (!(error instanceof RedirectOptionsError)) throw error;
    const text = `Cannot plan the sidecar of "${pod.namespace}/${pod.name}": ${error.message}`;
    throw new PlanError('LAB_BAD_ANNOTATION', pod.name, text);
  }
}
