import type { TopologyFault } from './errors.ts';
import { ADDRESS_ANNOTATION } from './expand.ts';
import { contains, parseCidr, parseIpv4 } from './ipv4.ts';
import { describe } from './issues.ts';
import type { Pod, Service } from './objects.ts';
import { faultAt, nameOf, type Place, type PlacedObject } from './placed.ts';
import { DNS_SERVICE_IP, NODE_PORT_RANGE, SERVICE_RANGE } from './ranges.ts';

const ADDRESS: Place = {
  long: ['metadata', 'annotations', ADDRESS_ANNOTATION],
  short: ['address'],
};
const CLUSTER_IP: Place = { long: ['spec', 'clusterIP'], short: ['clusterIP'] };

/** Who has what already, by kind and name, by address, by port. */
export interface Taken {
  readonly names: Map<string, PlacedObject>;
  readonly addresses: Map<string, PlacedObject>;
  readonly nodePorts: Map<string, PlacedObject>;
}

/** Address the annotation asks for; `undefined` without one. */
export function requestedAddress(pod: Pod): string | undefined {
  const text = pod.metadata.annotations?.[ADDRESS_ANNOTATION];
  return text === undefined ? undefined : (/^\["([\d.]+)"\]$/.exec(text)?.[1] ?? '');
}

/** Faults of the address a pod's annotation asks for. */
export function checkAddress(placed: PlacedObject, pod: Pod, taken: Taken): TopologyFault[] {
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

/** Faults of a service's own address and of its ports. */
export function checkService(
  placed: PlacedObject,
  service: Service,
  taken: Taken,
): TopologyFault[] {
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
