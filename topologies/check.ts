import { ADDRESS_ANNOTATION } from './expand.ts';
import type { TopologyFault } from './errors.ts';
import { KNOWN_IMAGE_NAMES, programOf, repositoryOf } from './images.ts';
import { contains, parseCidr, parseIpv4 } from './ipv4.ts';
import { describe } from './issues.ts';
import { nearest } from './nearest.ts';
import type { Container, Deployment, Pod, PodSpec, Service } from './objects.ts';
import { faultAt, nameOf, type Place, type PlacedObject } from './placed.ts';
import type { Path } from './source.ts';

/** Addresses of services, as kubeadm and kind choose them by default. */
export const SERVICE_RANGE = '10.96.0.0/16';
/** Address of the cluster's DNS, the tenth of the service range by kubeadm's convention. */
export const DNS_SERVICE_IP = '10.96.0.10';
/** Ports kube-apiserver gives to services of type NodePort (`--service-node-port-range`). */
export const NODE_PORT_RANGE = { first: 30000, last: 32767 } as const;

const HOSTNAME_LABEL = 'kubernetes.io/hostname';
/** Labels every Linux node carries. */
const NODE_LABELS: Readonly<Record<string, string>> = { 'kubernetes.io/os': 'linux' };

const NAME: Place = { long: ['metadata', 'name'], short: [] };
const NAMESPACE: Place = { long: ['metadata', 'namespace'], short: ['namespace'] };
const ADDRESS: Place = {
  long: ['metadata', 'annotations', ADDRESS_ANNOTATION],
  short: ['address'],
};
const CLUSTER_IP: Place = { long: ['spec', 'clusterIP'], short: ['clusterIP'] };

/** Faults between objects: names used twice or never declared, addresses, ports, images. */
export function checkObjects(
  placed: readonly PlacedObject[],
  nodes: readonly string[],
): TopologyFault[] {
  const namespaces = new Set(['default', 'kube-system']);
  const accounts = new Set<string>();
  for (const { object } of placed) {
    if (object.kind === 'Namespace') namespaces.add(object.metadata.name);
    if (object.kind === 'ServiceAccount') {
      accounts.add(`${object.metadata.namespace}/${object.metadata.name}`);
    }
  }
  const taken: Taken = { names: new Map(), addresses: new Map(), nodePorts: new Map() };
  return placed.flatMap((one) => {
    const { object } = one;
    const faults = [...checkName(one, taken), ...checkNamespace(one, namespaces)];
    if (object.kind === 'Service') faults.push(...checkService(one, object, taken));
    if (object.kind === 'Pod') {
      faults.push(...checkPodSpec(one, object.spec, ['spec'], { nodes, accounts }));
      faults.push(...checkAddress(one, object, taken));
    }
    if (object.kind === 'Deployment') {
      const at = ['spec', 'template', 'spec'];
      faults.push(...checkPodSpec(one, object.spec.template.spec, at, { nodes, accounts }));
      faults.push(...checkSelector(one, object));
    }
    return faults;
  });
}

/** Who has what already, by kind and name, by address, by port. */
interface Taken {
  readonly names: Map<string, PlacedObject>;
  readonly addresses: Map<string, PlacedObject>;
  readonly nodePorts: Map<string, PlacedObject>;
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
  if (namespace === undefined || known.has(namespace) || isCopy) return [];
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

/** Address the annotation asks for; `undefined` without one. */
export function requestedAddress(pod: Pod): string | undefined {
  const text = pod.metadata.annotations?.[ADDRESS_ANNOTATION];
  return text === undefined ? undefined : (/^\["([\d.]+)"\]$/.exec(text)?.[1] ?? '');
}

function checkAddress(placed: PlacedObject, pod: Pod, taken: Taken): TopologyFault[] {
  const address = requestedAddress(pod);
  if (address === undefined) return [];
  if (parseIpv4(address) === undefined) {
    const message = `Cannot use ${ADDRESS_ANNOTATION}: want ["<one IPv4 address>"]`;
    return [faultAt(placed, ADDRESS, message)];
  }
  return takeAddress(placed, ADDRESS, address, taken);
}

function takeAddress(
  placed: PlacedObject,
  place: Place,
  address: string,
  { addresses }: Taken,
): TopologyFault[] {
  const first = addresses.get(address);
  addresses.set(address, placed);
  if (!first) return [];
  const message = `Address ${address} is in use already, by ${nameOf(first.object)}`;
  return [faultAt(placed, place, message)];
}

function checkService(placed: PlacedObject, service: Service, taken: Taken): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const { clusterIP, ports } = service.spec;
  if (clusterIP !== undefined && clusterIP !== 'None' && clusterIP !== '') {
    faults.push(...checkClusterIp(placed, clusterIP, taken));
  }
  const seen = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const long = ['spec', 'ports', index];
    const key = `${port.port}/${port.protocol ?? 'TCP'}`;
    if (seen.has(key)) {
      faults.push(faultAt(placed, { long, short: ['ports'] }, `Port ${key} is listed twice`));
    }
    seen.add(key);
    if (port.nodePort === undefined) continue;
    const place = { long: [...long, 'nodePort'], short: ['nodePort'] };
    if (service.spec.type !== 'NodePort') {
      faults.push(faultAt(placed, place, 'A "nodePort" wants "type: NodePort"'));
      continue;
    }
    faults.push(...checkNodePort(placed, place, port.nodePort, port.protocol ?? 'TCP', taken));
  }
  return faults;
}

function checkClusterIp(placed: PlacedObject, address: string, taken: Taken): TopologyFault[] {
  const value = parseIpv4(address);
  if (value === undefined || !contains(parseCidr(SERVICE_RANGE)!, value)) {
    const message = `Not a service address ${describe(address)}: want one in ${SERVICE_RANGE}`;
    return [faultAt(placed, CLUSTER_IP, message)];
  }
  if (address === DNS_SERVICE_IP) {
    const message = `Address ${address} is in use already, by the cluster's DNS`;
    return [faultAt(placed, CLUSTER_IP, message)];
  }
  return takeAddress(placed, CLUSTER_IP, address, taken);
}

function checkNodePort(
  placed: PlacedObject,
  place: Place,
  port: number,
  protocol: string,
  { nodePorts }: Taken,
): TopologyFault[] {
  const { first, last } = NODE_PORT_RANGE;
  if (port < first || port > last) {
    return [faultAt(placed, place, `Not a node port ${port}: want ${first} to ${last}`)];
  }
  const key = `${port}/${protocol}`;
  const holder = nodePorts.get(key);
  nodePorts.set(key, placed);
  if (!holder) return [];
  return [faultAt(placed, place, `Node port ${key} is in use by ${nameOf(holder.object)}`)];
}
