import { checkAddress, checkService, type Taken } from './check-addresses.ts';
import type { TopologyFault } from './errors.ts';
import { GUEST_ANNOTATION, ROOT_NAMESPACE } from './expand.ts';
import { KNOWN_IMAGE_NAMES, programOf, repositoryOf } from './images.ts';
import type { IpFamily } from './ip.ts';
import { nearest } from './nearest.ts';
import type { Container, Deployment, Pod, PodSpec } from './objects.ts';
import { faultAt, nameOf, type Place, type PlacedObject } from './placed.ts';
import type { Path } from './source.ts';

const HOSTNAME_LABEL = 'kubernetes.io/hostname';
/** Labels every Linux node carries. */
const NODE_LABELS: Readonly<Record<string, string>> = { 'kubernetes.io/os': 'linux' };

const NAME: Place = { long: ['metadata', 'name'], short: [] };
const NAMESPACE: Place = { long: ['metadata', 'namespace'], short: ['namespace'] };

/** Faults between objects: names used twice or never declared, addresses, ports, images. */
export function checkObjects(
  placed: readonly PlacedObject[],
  nodes: readonly string[],
  ipFamilies: readonly IpFamily[],
): TopologyFault[] {
  const namespaces = new Set(['default', 'kube-system']);
  const accounts = new Set<string>();
  for (const { object } of placed) {
    if (object.kind === 'Namespace') namespaces.add(object.metadata.name);
    if (object.kind === 'ServiceAccount') {
      accounts.add(`${object.metadata.namespace}/${object.metadata.name}`);
    }
  }
  const taken: Taken = {
    ipFamilies,
    names: new Map(),
    addresses: new Map(),
    nodePorts: new Map(),
  };
  return placed.flatMap((one) => {
    const { object } = one;
    const faults = [...checkName(one, taken), ...checkNamespace(one, namespaces)];
    if (object.kind === 'Service') faults.push(...checkService(one, object, taken));
    if (object.kind === 'Pod') {
      faults.push(...checkPodSpec(one, object.spec, ['spec'], { nodes, accounts }));
      faults.push(...checkAddress(one, object, taken), ...checkGuest(one, object));
    }
    if (object.kind === 'Deployment') {
      const at = ['spec', 'template', 'spec'];
      faults.push(...checkPodSpec(one, object.spec.template.spec, at, { nodes, accounts }));
      faults.push(...checkSelector(one, object));
    }
    return faults;
  });
}

const GUEST: Place = {
  long: ['metadata', 'annotations', GUEST_ANNOTATION],
  short: ['guest'],
};

/** Faults of the interface that a pod has for a guest: a name that the kernel takes, and is free. */
function checkGuest(placed: PlacedObject, { metadata }: Pod): TopologyFault[] {
  const link = metadata.annotations?.[GUEST_ANNOTATION];
  if (link === undefined) return [];
  const isName = /^[a-zA-Z0-9][\w.-]{0,14}$/.test(link);
  if (isName && link !== 'lo' && link !== 'eth0') return [];
  const wished = 'want a name of at most 15 letters, digits, "-" and ".", other than lo and eth0';
  return [faultAt(placed, GUEST, `Not an interface for a guest "${link}": ${wished}`)];
}

interface Known {
  readonly nodes: readonly string[];
  readonly accounts: ReadonlySet<string>;
}

function checkName(placed: PlacedObject, { names }: Taken): TopologyFault[] {
  const { kind } = placed.object;
  const name = nameOf(placed.object);
  const first = names.get(name);
  if (!first) {
    names.set(name, placed);
    return [];
  }
  // The short form makes accounts by itself; one written out as well is the same account.
  if (kind === 'ServiceAccount' && first.isShort !== placed.isShort) return [];
  return [faultAt(placed, NAME, `${name} is defined twice${seenAt(first)}`)];
}

function seenAt(first: PlacedObject): string {
  const { file, line } = faultAt(first, NAME, '');
  return `, first at ${file}:${line}`;
}

function checkNamespace(placed: PlacedObject, known: ReadonlySet<string>): TopologyFault[] {
  const { namespace } = placed.object.metadata;
  // The account of a short workload would repeat its pod's fault.
  const isCopy = placed.isShort && placed.object.kind === 'ServiceAccount';
  // Those of the root namespace are for the whole mesh.
  const isMeshWide = namespace === ROOT_NAMESPACE && placed.object.kind === 'PeerAuthentication';
  if (namespace === undefined || known.has(namespace) || isCopy || isMeshWide) return [];
  const suggestion = nearest(namespace, known);
  return [faultAt(placed, NAMESPACE, `Unknown namespace "${namespace}"`, { suggestion })];
}

function checkPodSpec(
  placed: PlacedObject,
  spec: PodSpec,
  at: Path,
  { nodes, accounts }: Known,
): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const unknownNode = (name: string, path: Path): void => {
    const place = { long: [...at, ...path], short: ['node'] };
    const suggestion = nearest(name, nodes);
    faults.push(faultAt(placed, place, `Unknown node "${name}"`, { suggestion }));
  };
  if (spec.nodeName !== undefined && !nodes.includes(spec.nodeName)) {
    unknownNode(spec.nodeName, ['nodeName']);
  }
  for (const [label, value] of Object.entries(spec.nodeSelector ?? {})) {
    const path = ['nodeSelector', label];
    if (label === HOSTNAME_LABEL) {
      if (!nodes.includes(value)) unknownNode(value, path);
    } else if (NODE_LABELS[label] !== value) {
      const message = `No node has the label "${label}: ${value}"`;
      faults.push(faultAt(placed, { long: [...at, ...path], short: [] }, message));
    }
  }
  const account = spec.serviceAccountName;
  const own = `${placed.object.metadata.namespace}/${account}`;
  if (account !== undefined && account !== 'default' && !accounts.has(own)) {
    const place = { long: [...at, 'serviceAccountName'], short: ['serviceAccount'] };
    const candidates = [...accounts].map((name) => name.split('/')[1]!);
    const suggestion = nearest(account, candidates);
    faults.push(faultAt(placed, place, `Unknown service account "${own}"`, { suggestion }));
  }
  faults.push(...checkContainers(placed, spec, at));
  return faults;
}

function checkContainers(placed: PlacedObject, spec: PodSpec, at: Path): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const ports = new Map<string, string>();
  for (const [index, container] of spec.containers.entries()) {
    const path = [...at, 'containers', index];
    const program = programOf(container);
    if (!program) {
      faults.push(unknownImage(placed, container, [...path, 'image']));
      continue;
    }
    if (program.kind === 'idle' || program.kind === 'command') continue;
    for (const port of program.ports) {
      const key = `${port}/${program.kind === 'udp-echo' ? 'UDP' : 'TCP'}`;
      if (ports.has(key)) {
        const message = `Port ${key} is served twice in ${nameOf(placed.object)}`;
        faults.push(faultAt(placed, { long: [...path, 'ports'], short: [] }, message));
      }
      ports.set(key, container.name);
    }
  }
  return faults;
}

function unknownImage(placed: PlacedObject, container: Container, path: Path): TopologyFault {
  const image = container.image ?? '';
  const message =
    `Unknown image "${image}": nothing is pulled, want a "command" of this machine ` +
    `or one of ${KNOWN_IMAGE_NAMES.join(', ')}`;
  const suggestion = nearest(repositoryOf(image), KNOWN_IMAGE_NAMES);
  return faultAt(placed, { long: path, short: [] }, message, { suggestion });
}

function checkSelector(placed: PlacedObject, deployment: Deployment): TopologyFault[] {
  const labels = deployment.spec.template.metadata?.labels ?? {};
  return Object.entries(deployment.spec.selector.matchLabels)
    .filter(([key, value]) => labels[key] !== value)
    .map(([key, value]) => {
      const long = ['spec', 'selector', 'matchLabels', key];
      const message = `The template's labels lack "${key}: ${value}", which the selector wants`;
      return faultAt(placed, { long, short: [] }, message);
    });
}
