import type { TopologyFault } from './errors.ts';
import { ADDRESS_ANNOTATION } from './expand.ts';
import { canonicalIp, parseIp, parseIpRange, rangeHolds, type IpFamily } from './ip.ts';
import { describe } from './issues.ts';
import type { Pod, Service } from './objects.ts';
import { faultAt, nameOf, type Place, type PlacedObject } from './placed.ts';
import { DNS_SERVICE_IPS, NODE_PORT_RANGE, RANGES } from './ranges.ts';
import { familiesOfService, requestedClusterIps } from './service-families.ts';

const ADDRESS: Place = {
  long: ['metadata', 'annotations', ADDRESS_ANNOTATION],
  short: ['address'],
};

/** Who has what already, by kind and name, by address, by port; and the families of the lab. */
export interface Taken {
  readonly ipFamilies: readonly IpFamily[];
  readonly names: Map<string, PlacedObject>;
  readonly addresses: Map<string, PlacedObject>;
  readonly nodePorts: Map<string, PlacedObject>;
}

/** Addresses the annotation asks for, in canonical text; `undefined` when it is none of ours. */
export function requestedAddresses(pod: Pod): readonly string[] | undefined {
  const text = pod.metadata.annotations?.[ADDRESS_ANNOTATION];
  if (text === undefined) return [];
  const list = /^\[("[\da-fA-F:.]+"(?:, *"[\da-fA-F:.]+")?)\]$/.exec(text)?.[1];
  const addresses = list?.split(/, */).map((one) => canonicalIp(one.slice(1, -1)));
  return addresses?.every((address) => address !== undefined) ? addresses : undefined;
}

/** Faults of the address a pod's annotation asks for. */
export function checkAddress(placed: PlacedObject, pod: Pod, taken: Taken): TopologyFault[] {
  const { ipFamilies } = taken;
  const addresses = requestedAddresses(pod);
  const families = addresses?.map((address) => parseIp(address)!.family) ?? [];
  if (addresses === undefined || new Set(families).size < families.length) {
    const wanted = ipFamilies.map((family) => `<one ${family} address>`).join('", "');
    return [faultAt(placed, ADDRESS, `Cannot use ${ADDRESS_ANNOTATION}: want ["${wanted}"]`)];
  }
  const foreign = families.find((family) => !ipFamilies.includes(family));
  if (foreign !== undefined) return [faultAt(placed, ADDRESS, notOfLab(foreign, ipFamilies))];
  return addresses.flatMap((address) => takeAddress(placed, ADDRESS, address, taken));
}

/** `Cannot use IPv6: the lab has "ipFamilies: [IPv4]"`. */
export function notOfLab(family: IpFamily, ipFamilies: readonly IpFamily[]): string {
  return `Cannot use ${family}: the lab has "ipFamilies: [${ipFamilies.join(', ')}]"`;
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
  const { clusterIPs, ports } = service.spec;
  for (const [index, address] of requestedClusterIps(service).entries()) {
    if (address === 'None') continue;
    const path = clusterIPs === undefined ? ['clusterIP'] : ['clusterIPs', index];
    const place = { long: ['spec', ...path], short: path };
    faults.push(...checkClusterIp(placed, place, address, taken));
  }
  const found = familiesOfService(service, taken.ipFamilies);
  if (found.kind === 'fault' && faults.length === 0) {
    const place = { long: ['spec', found.field], short: [found.field] };
    faults.push(faultAt(placed, place, found.message));
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

function checkClusterIp(
  placed: PlacedObject,
  place: Place,
  text: string,
  taken: Taken,
): TopologyFault[] {
  const value = parseIp(text);
  const ranges = taken.ipFamilies.map((family) => RANGES[family].services);
  if (value === undefined || !ranges.some((one) => rangeHolds(parseIpRange(one)!, value))) {
    const message = `Not a service address ${describe(text)}: want one in ${ranges.join(' or ')}`;
    return [faultAt(placed, place, message)];
  }
  const address = canonicalIp(text)!;
  if (Object.values<string>(DNS_SERVICE_IPS).includes(address)) {
    const message = `Address ${address} is in use already, by the cluster's DNS`;
    return [faultAt(placed, place, message)];
  }
  return takeAddress(placed, place, address, taken);
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
