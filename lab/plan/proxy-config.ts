import { parse, YAMLError } from 'yaml';
import { nearest } from '../../topologies/nearest.ts';
import { type ProxyMetadata, proxyMetadataSchema } from '../../topologies/proxy-metadata.ts';
import { PlanError } from './errors.ts';
import type { PodPlan } from './plan.ts';

/** Annotation with which a pod changes the mesh's ProxyConfig for itself. */
const PROXY_CONFIG_ANNOTATION = 'proxy.istio.io/config';
/** Label by which a pod announces that it takes HBONE itself (`http`); the injector sets it. */
const TUNNEL_LABEL = 'networking.istio.io/tunnel';

/** What a pod's sidecar is told beside its rules. */
export interface ProxyConfig {
  /** Whether it takes HBONE on 15008 (`Proxy.EnableHBONEListen`). */
  readonly listensHbone: boolean;
  /** Whether ztunnels are told that it does (`native_tunnel`). */
  readonly announcesHbone: boolean;
  /** Whether it sends HBONE to what takes nothing else (PILOT_ENABLE_SENDING_HBONE). */
  readonly sendsHbone: boolean;
  readonly dnsCapture: boolean;
  readonly dropInvalid: boolean;
}

/**
 * The mesh's metadata, changed by the pod's annotation; defaults are those of Istio's ambient
 * profile (`manifests/helm-profiles/ambient.yaml`), the label that of its injection template.
 * @throws {PlanError} LAB_BAD_ANNOTATION
 */
export function proxyConfigOf(
  pod: Pick<PodPlan, 'name' | 'namespace' | 'labels' | 'annotations'>,
  mesh: ProxyMetadata,
): ProxyConfig {
  const metadata = { ...mesh, ...ownMetadata(pod) };
  const listensHbone = metadata.ISTIO_META_ENABLE_HBONE !== 'false';
  const label = pod.labels[TUNNEL_LABEL] ?? (listensHbone ? 'http' : undefined);
  return {
    listensHbone,
    announcesHbone: label === 'http',
    sendsHbone: metadata.ISTIO_META_DISABLE_HBONE_SEND !== 'true',
    dnsCapture: metadata.ISTIO_META_DNS_CAPTURE === 'true',
    dropInvalid: metadata.INVALID_DROP === 'true',
  };
}

/** What the pod's annotation has of its own; what else a ProxyConfig may say changes no packet. */
function ownMetadata(pod: Parameters<typeof proxyConfigOf>[0]): ProxyMetadata {
  const text = pod.annotations[PROXY_CONFIG_ANNOTATION];
  if (text === undefined) return {};
  const wrong = (reason: string, suggestion?: string): PlanError => {
    const who = `Cannot plan the sidecar of "${pod.namespace}/${pod.name}"`;
    const message = `${who}: annotation ${PROXY_CONFIG_ANNOTATION}: ${reason}`;
    return new PlanError('LAB_BAD_ANNOTATION', pod.name, message, suggestion);
  };
  let config: unknown;
  try {
    config = parse(text);
  } catch (error) {
    if (!(error instanceof YAMLError)) throw error;
    throw wrong(error.message.split('\n')[0] ?? 'no YAML');
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw wrong('no YAML mapping');
  }
  if (!('proxyMetadata' in config)) return {};
  const { success, data, error } = proxyMetadataSchema.safeParse(config.proxyMetadata);
  if (success) return data;
  const [issue] = error.issues;
  const known = Object.keys(proxyMetadataSchema.shape);
  if (issue?.code !== 'unrecognized_keys') {
    throw wrong(`proxyMetadata.${issue?.path.join('.')}: ${issue?.message}`);
  }
  const key = issue.keys[0] ?? '';
  throw wrong(`proxyMetadata "${key}", one of ${known.join(', ')} is wished`, nearest(key, known));
}
