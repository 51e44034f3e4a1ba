import type { Container, KubernetesObject, Pod, Service, ServicePort } from './objects.ts';
import type { PlacedObject } from './placed.ts';
import type { ServiceInput, TopologyInput, WorkloadInput } from './schema.ts';
import type { Path, SourceDocument } from './source.ts';

/** Label of Istio that enrols a pod or all pods of a namespace (`ambient`, `none`). */
export const DATAPLANE_MODE_LABEL = 'istio.io/dataplane-mode';
/** Label of Istio on a namespace whose pods get a sidecar (`enabled`). */
export const INJECTION_LABEL = 'istio-injection';
/** Label (or annotation, as it was) of a pod that gets one, or none, whatever its namespace says. */
export const INJECT_LABEL = 'sidecar.istio.io/inject';
/** Namespace of Istio; what is there without a selector holds for the whole mesh. */
export const ROOT_NAMESPACE = 'istio-system';
/** Calico's annotation for a pod's addresses, a JSON list of one or one of each family. */
export const ADDRESS_ANNOTATION = 'cni.projectcalico.org/ipAddrs';
/** Policies of scope `WorkloadSelector` that hold for a pod, `namespace/name` with commas between. */
export const POLICIES_ANNOTATION = 'ambient-lab/authorization-policies';

/**
 * Interface of a pod behind which a machine of its own lives, masqueraded by the pod, as with
 * KubeVirt or Docker in a pod.
 */
export const GUEST_ANNOTATION = 'ambient-lab/guest-interface';

/**
 * Objects the short form stands for, in file order: namespaces, then each workload's service
 * account and pod, then services. A service account two workloads share appears once.
 */
export function expandShortForm(input: TopologyInput, document: SourceDocument): PlacedObject[] {
  const placed: PlacedObject[] = [];
  const add = (at: Path, object: KubernetesObject): void => {
    placed.push({ object, document, at, isShort: true });
  };
  for (const [name, { mode, labels }] of Object.entries(input.namespaces ?? {})) {
    const all = { ...labels, ...labelOfMode(mode) };
    const metadata = { name, ...(Object.keys(all).length > 0 ? { labels: all } : {}) };
    add(['namespaces', name], { apiVersion: 'v1', kind: 'Namespace', metadata });
  }
  const accounts = new Set<string>();
  for (const [name, workload] of Object.entries(input.workloads ?? {})) {
    const namespace = workload.namespace ?? 'default';
    const account = workload.serviceAccount ?? name;
    if (account !== 'default' && !accounts.has(`${namespace}/${account}`)) {
      accounts.add(`${namespace}/${account}`);
      const metadata = { name: account, namespace };
      add(['workloads', name], { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    }
    add(['workloads', name], expandWorkload(name, namespace, workload));
  }
  for (const [name, service] of Object.entries(input.services ?? {})) {
    add(['services', name], expandService(name, service, input));
  }
  return placed;
}

function labelOfMode(mode: string | undefined): Record<string, string> {
  if (mode === 'ambient') return { [DATAPLANE_MODE_LABEL]: mode };
  return mode === 'sidecar' ? { [INJECTION_LABEL]: 'enabled' } : {};
}

function expandWorkload(name: string, namespace: string, workload: WorkloadInput): Pod {
  const mode = workload.enrolled ? 'ambient' : 'none';
  const labels = {
    app: name,
    ...(workload.version === undefined ? {} : { version: workload.version }),
    ...(workload.enrolled === undefined ? {} : { [DATAPLANE_MODE_LABEL]: mode }),
    ...workload.labels,
  };
  const annotations = {
    ...(workload.address
      ? { [ADDRESS_ANNOTATION]: JSON.stringify([workload.address].flat()) }
      : {}),
    ...(workload.policies ? { [POLICIES_ANNOTATION]: workload.policies.join(',') } : {}),
    ...(workload.guest === undefined ? {} : { [GUEST_ANNOTATION]: workload.guest }),
    ...workload.annotations,
  };
  const hasAnnotations = Object.keys(annotations).length > 0;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, ...(hasAnnotations ? { annotations } : {}) },
    spec: {
      ...(workload.node === undefined ? {} : { nodeName: workload.node }),
      serviceAccountName: workload.serviceAccount ?? name,
      containers: containersOf(workload),
    },
  };
}

const DEFAULT_PORTS = { http: 8080, 'tcp-echo': 9000, 'udp-echo': 9000 } as const;

function containersOf(workload: WorkloadInput): Container[] {
  const single = workload.app ?? 'none';
  const apps = [
    ...(single === 'none' ? [] : [{ app: single, port: workload.port ?? DEFAULT_PORTS[single] }]),
    ...(workload.apps ?? []),
  ];
  const containers = apps.map(({ app, port }, index): Container => {
    const name = apps.length === 1 ? app : `${app}-${index + 1}`;
    const protocol = app === 'udp-echo' ? { protocol: 'UDP' as const } : {};
    return { name, image: `ambient-lab/${app}`, ports: [{ containerPort: port, ...protocol }] };
  });
  if (workload.command) {
    const env = Object.entries(workload.env ?? {}).map(([name, value]) => ({ name, value }));
    const ports = workload.port !== undefined && single === 'none' ? [workload.port] : [];
    containers.push({
      name: 'command',
      image: 'ambient-lab/machine',
      command: workload.command,
      ...(env.length > 0 ? { env } : {}),
      ...(ports.length > 0 ? { ports: ports.map((containerPort) => ({ containerPort })) } : {}),
    });
  }
  return containers.length > 0 ? containers : [{ name: 'idle', image: 'ambient-lab/idle' }];
}

function expandService(name: string, service: ServiceInput, input: TopologyInput): Service {
  const ports = Object.entries(service.ports).map(([key, targetPort]): ServicePort => {
    const [port, protocol] = key.split('/');
    return {
      name: protocol === undefined ? `port-${port}` : `port-${port}-${protocol}`,
      port: Number(port),
      targetPort: /^\d+$/.test(String(targetPort)) ? Number(targetPort) : targetPort,
      ...(service.nodePort === undefined ? {} : { nodePort: service.nodePort }),
      protocol: protocol === 'udp' ? 'UDP' : 'TCP',
    };
  });
  const selector =
    typeof service.selector === 'string'
      ? { app: input.workloads?.[service.selector]?.labels?.['app'] ?? service.selector }
      : service.selector;
  const clusterIP = service.headless ? 'None' : service.clusterIP;
  const { clusterIPs, ipFamilyPolicy, ipFamilies } = service;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: service.namespace ?? 'default' },
    spec: {
      ...(service.nodePort === undefined ? {} : { type: 'NodePort' as const }),
      ...(clusterIP === undefined ? {} : { clusterIP }),
      ...(clusterIPs === undefined ? {} : { clusterIPs }),
      ...(ipFamilyPolicy === undefined ? {} : { ipFamilyPolicy }),
      ...(ipFamilies === undefined ? {} : { ipFamilies }),
      ...(selector === undefined ? {} : { selector }),
      ports,
    },
  };
}
