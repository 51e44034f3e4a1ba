import { requestedAddresses } from '../../topologies/check-addresses.ts';
import { DATAPLANE_MODE_LABEL } from '../../topologies/expand.ts';
import { programOf } from '../../topologies/images.ts';
import { familyOf } from '../../topologies/ip.ts';
import type { Container, KubernetesObject, Pod, PodSpec } from '../../topologies/objects.ts';
import { podNamesOf, templateHashOf } from '../../topologies/replica-names.ts';
import { PodAddresses } from './addressing.ts';
import { nodeAddresses } from './families.ts';
import { linkNames, uidOf } from './hash.ts';
import type { Addressed } from './families.ts';
import type { AppPlan, NodePlan, PodPlan } from './plan.ts';

/** A pod before it has a node: one object, or one replica of a Deployment. */
export interface PodDraft {
  readonly pod: Pod;
  readonly workloadName: string;
  readonly workloadType: 'deployment' | 'pod';
  readonly system: boolean;
  readonly apps: readonly AppPlan[];
}

const DNS_POD: PodDraft = {
  pod: {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'coredns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } },
    spec: { serviceAccountName: 'coredns', containers: [{ name: 'coredns', image: 'coredns' }] },
  },
  workloadName: 'coredns',
  workloadType: 'deployment',
  system: true,
  apps: [{ kind: 'dns', port: 53 }],
};

/**
 * Every pod with its node, address, netns and programs: the cluster's DNS on the first node, then
 * the topology's pods in file order. A pod without a wish goes to the next node in turn.
 * @throws {PlanError} LAB_PLAN_CONFLICT on addresses.
 */
export function planPods(
  objects: readonly KubernetesObject[],
  nodes: readonly NodePlan[],
): PodPlan[] {
  const drafts = [DNS_POD, ...objects.flatMap(draftsOf)];
  const placedOn = placeOnNodes(drafts, nodes);
  const addresses = assignAddresses(drafts, placedOn, nodes);
  const links = assignLinks(drafts, placedOn);
  const modes = namespaceModes(objects);
  return drafts.map((draft, index) => {
    const { metadata, spec } = draft.pod;
    const { name, namespace = 'default', labels = {}, annotations = {} } = metadata;
    return {
      uid: metadata.uid ?? uidOf(namespace, name),
      name,
      namespace,
      serviceAccount: spec.serviceAccountName ?? 'default',
      node: placedOn[index]!.name,
      netns: `${name}.${namespace}`,
      ...addresses[index]!,
      hostLink: links[index]!,
      labels,
      annotations,
      workloadName: draft.workloadName,
      workloadType: draft.workloadType,
      enrolled: asksForAmbient({ namespace, labels, annotations }, modes.get(namespace)),
      system: draft.system,
      apps: draft.apps,
    };
  });
}

/** Namespaces istio-cni never enrols (`excludeNamespaces` of its chart). */
const EXCLUDED_NAMESPACES = ['kube-system'];

/**
 * Whether labels ask for ambient, as istio-cni's default `enablementSelectors` decide: the pod's
 * label says `ambient`, or the namespace's does and the pod's does not say `none`. Excluded
 * namespaces and pods with an injected sidecar never are.
 */
export function asksForAmbient(
  pod: Pick<PodPlan, 'namespace' | 'labels' | 'annotations'>,
  namespaceMode: string | undefined,
): boolean {
  if (EXCLUDED_NAMESPACES.includes(pod.namespace)) return false;
  if (pod.annotations['sidecar.istio.io/status'] !== undefined) return false;
  const mode = pod.labels[DATAPLANE_MODE_LABEL];
  return mode === 'ambient' || (mode !== 'none' && namespaceMode === 'ambient');
}

/** What each namespace's label says of the mesh. */
export function namespaceModes(objects: readonly KubernetesObject[]): ReadonlyMap<string, string> {
  const modes = new Map<string, string>();
  for (const { kind, metadata } of objects) {
    const mode = metadata.labels?.[DATAPLANE_MODE_LABEL];
    if (kind === 'Namespace' && mode !== undefined) modes.set(metadata.name, mode);
  }
  return modes;
}

function draftsOf(object: KubernetesObject): PodDraft[] {
  if (object.kind === 'Pod') {
    const apps = appsOf(object.spec, object.metadata.labels ?? {});
    const { name } = object.metadata;
    return [{ pod: object, workloadName: name, workloadType: 'pod', system: false, apps }];
  }
  if (object.kind !== 'Deployment') return [];
  const { name, namespace = 'default' } = object.metadata;
  const { metadata, spec } = object.spec.template;
  const labels = { ...metadata?.labels, 'pod-template-hash': templateHashOf(object) };
  const annotations = metadata?.annotations ?? {};
  const apps = appsOf(spec, labels);
  return podNamesOf(object).map((pod) => ({
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: pod, namespace, labels, annotations },
      spec,
    },
    workloadName: name,
    workloadType: 'deployment',
    system: false,
    apps,
  }));
}

/** Container ports by name, by uid of the pod: what a service's named target port means there. */
export function namedPortsOf(
  objects: readonly KubernetesObject[],
): ReadonlyMap<string, ReadonlyMap<string, number>> {
  return new Map(
    objects.flatMap(draftsOf).map(({ pod: { metadata, spec } }) => {
      const ports = spec.containers.flatMap((container) => container.ports ?? []);
      const named = ports.flatMap((port): [string, number][] =>
        port.name === undefined ? [] : [[port.name, port.containerPort]],
      );
      const uid = metadata.uid ?? uidOf(metadata.namespace ?? 'default', metadata.name);
      return [uid, new Map(named)];
    }),
  );
}

function appsOf(spec: PodSpec, labels: Readonly<Record<string, string>>): AppPlan[] {
  const version = labels['version'] ?? labels['app.kubernetes.io/version'] ?? 'v1';
  return spec.containers.flatMap((container): AppPlan[] => {
    const program = programOf(container);
    if (!program || program.kind === 'idle') return [];
    if (program.kind === 'command') {
      return [{ kind: 'command', argv: program.argv, env: environmentOf(container) }];
    }
    const { kind } = program;
    return program.ports.map((port) =>
      kind === 'http' ? { kind, port, version } : { kind, port },
    );
  });
}

function environmentOf(container: Container): Record<string, string> {
  return Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value ?? '']));
}

function placeOnNodes(drafts: readonly PodDraft[], nodes: readonly NodePlan[]): NodePlan[] {
  let turn = 0;
  return drafts.map(({ pod: { spec }, system }) => {
    const wish = spec.nodeName ?? spec.nodeSelector?.['kubernetes.io/hostname'];
    const chosen = nodes.find(({ name }) => name === wish);
    if (chosen) return chosen;
    return system ? nodes[0]! : nodes[turn++ % nodes.length]!;
  });
}

function assignAddresses(
  drafts: readonly PodDraft[],
  placedOn: readonly NodePlan[],
  nodes: readonly NodePlan[],
): Addressed[] {
  const [first = [], second] = familyCount(nodes).map((index) =>
    assignFamily(drafts, placedOn, nodes, index),
  );
  return first.map((address, index) =>
    second === undefined ? { address } : { address, secondAddress: second[index]! },
  );
}

function familyCount(nodes: readonly NodePlan[]): readonly (0 | 1)[] {
  return nodes[0]?.second === undefined ? [0] : [0, 1];
}

/** Addresses of the nodes' first or second family. */
function assignFamily(
  drafts: readonly PodDraft[],
  placedOn: readonly NodePlan[],
  nodes: readonly NodePlan[],
  which: 0 | 1,
): string[] {
  const inFamily = (node: NodePlan) => nodeAddresses(node)[which]!;
  const pools = new Map(
    nodes.map((node) => [
      node.name,
      new PodAddresses(node.name, inFamily(node), node.spareZtunnel),
    ]),
  );
  const family = familyOf(inFamily(nodes[0]!).address);
  const nameOf = ({ pod }: PodDraft): string => `${pod.metadata.namespace}/${pod.metadata.name}`;
  const wishes = drafts.map((draft, index) => {
    const wished = requestedAddresses(draft.pod)?.find((one) => familyOf(one) === family);
    if (wished === undefined) return undefined;
    return pools.get(placedOn[index]!.name)!.reserve(wished, nameOf(draft));
  });
  return drafts.map(
    (draft, index) => wishes[index] ?? pools.get(placedOn[index]!.name)!.allocate(nameOf(draft)),
  );
}

/** Host-side ends: `v-<pod>`, one namespace of names a node, `v-ztunnel` kept for ztunnel. */
function assignLinks(drafts: readonly PodDraft[], placedOn: readonly NodePlan[]): string[] {
  const names = new Array<string>(drafts.length);
  for (const node of new Set(placedOn)) {
    const here = drafts.flatMap((draft, index) => (placedOn[index] === node ? [index] : []));
    const words = here.map((index) => {
      const { name, namespace } = drafts[index]!.pod.metadata;
      return { word: name, key: `${namespace}/${name}` };
    });
    const links = linkNames('v-', [{ word: 'ztunnel', key: 'ztunnel' }, ...words]).slice(1);
    for (const [position, index] of here.entries()) names[index] = links[position]!;
  }
  return names;
}
