import type { Leg, RunFacts } from '../../facts/facts.ts';
import { addressesOf, nodeAddresses } from '../../plan/families.ts';
import type { Plan } from '../../plan/plan.ts';
import { overlaysOf } from './map-overlays.ts';

/** What a map shows, before anybody decides where. */
export interface MapModel {
  readonly nodes: readonly MapNode[];
  readonly outside?: MapHouse;
  /** Interfaces of the switch between the nodes, without its ports to nodes and outside. */
  readonly fabric?: {
    readonly netns: string;
    readonly name: string;
    readonly loose: readonly string[];
  };
  readonly wires: readonly (readonly [a: string, b: string])[];
  readonly tunnels: readonly MapTunnel[];
  /** Tunnels that were seen but are not drawn. */
  readonly undrawnTunnels: number;
}

export interface MapNode {
  readonly name: string;
  readonly netns: string;
  readonly addresses: readonly string[];
  readonly houses: readonly MapHouse[];
  /** Its end of the link to the switch. */
  readonly uplink?: string;
  /** Port of the switch at the other end. */
  readonly switchPort?: string;
  /** Interfaces that lead to no pod and to no switch: `lo`, tunnel devices. */
  readonly loose: readonly string[];
}

/** A namespace that is drawn as a box of its own: a pod, a ztunnel's pod, the outside. */
export interface MapHouse {
  readonly netns: string;
  readonly title: string;
  /** One of each family it has. */
  readonly addresses: readonly string[];
  readonly role: 'pod' | 'system' | 'ztunnel' | 'outside';
  readonly isEnrolled: boolean;
  /** A ztunnel, or the Envoy of a sidecar, owns sockets here. */
  readonly hasProxy: boolean;
  /** It is the Envoy of a sidecar. */
  readonly hasSidecar?: boolean;
  /** End of its link in the node's namespace, or on the switch. */
  readonly hostEnd?: string;
  readonly loose: readonly string[];
}

export interface MapTunnel {
  readonly kind: 'hbone' | 'hbone-clear' | 'geneve' | 'vxlan';
  /** Places on the map. */
  readonly from: string;
  readonly to: string;
  readonly text: string;
  /** What stands on the arc where no lock says it all. */
  readonly label?: string;
}

/** More would hide the map. */
const MOST_TUNNELS = 24;

/** Reads off a plan and the facts what there is to draw. */
export function modelMap(plan: Plan, facts: RunFacts): MapModel {
  const links = plan.links.map(
    ({ a, b }) => [`${a.netns}/${a.name}`, `${b.netns}/${b.name}`] as const,
  );
  const peers = new Map<string, string>(
    links.flatMap(
      ([a, b]) =>
        [
          [a, b],
          [b, a],
        ] as const,
    ),
  );
  const seen = interfacesByNetns(facts, links);
  const fabric = plan.netns.find(({ role }) => role === 'fabric');
  const proxies = proxiesOf(facts);
  const look = { plan, peers, seen, fabric: fabric?.name, proxies };
  const outside = plan.netns.find(({ role }) => role === 'outside');
  const tunnels = tunnelsOf(facts);
  return {
    nodes: plan.nodes.map((node) => modelNode(look, node)),
    ...(outside && {
      outside: house(look, {
        netns: outside.name,
        title: 'outside',
        addresses: addressesOf(plan.outside),
        role: 'outside',
        isEnrolled: false,
      }),
    }),
    ...(fabric && {
      fabric: {
        netns: fabric.name,
        name: 'switch between the nodes',
        loose: (seen.get(fabric.name) ?? []).filter((name) => !peers.has(`${fabric.name}/${name}`)),
      },
    }),
    wires: links,
    tunnels: tunnels.slice(0, MOST_TUNNELS),
    undrawnTunnels: Math.max(0, tunnels.length - MOST_TUNNELS),
  };
}

interface Look {
  readonly plan: Plan;
  readonly peers: ReadonlyMap<string, string>;
  readonly seen: ReadonlyMap<string, readonly string[]>;
  readonly fabric: string | undefined;
  /** Namespaces in which a ztunnel held a socket. */
  readonly proxies: ReadonlySet<string>;
}

function interfacesByNetns(
  facts: RunFacts,
  links: readonly (readonly [string, string])[],
): ReadonlyMap<string, readonly string[]> {
  const names = new Set([
    ...facts.interfaces.map(({ netns, name }) => `${netns}/${name}`),
    ...links.flat(),
  ]);
  const found = new Map<string, string[]>();
  for (const place of names) {
    const [netns = '', name = ''] = place.split('/');
    const list = found.get(netns) ?? [];
    list.push(name);
    found.set(netns, list);
  }
  return found;
}

function proxiesOf({ paths }: RunFacts): ReadonlySet<string> {
  const ends = paths.flatMap(({ legs }) => legs.flatMap(({ from, to }) => [from, to]));
  return new Set(ends.filter(({ kind }) => kind === 'ztunnel' || kind === 'envoy').map(({ netns }) => netns));
}

function modelNode(look: Look, node: Plan['nodes'][number]): MapNode {
  const { plan, peers, seen, fabric } = look;
  const pods = plan.pods
    .filter((pod) => pod.node === node.name)
    .map((pod) =>
      house(look, {
        netns: pod.netns,
        title: pod.name,
        addresses: addressesOf(pod),
        role: pod.system ? 'system' : 'pod',
        isEnrolled: pod.enrolled,
        ...(pod.sidecar && { hasSidecar: true }),
      }),
    );
  const guests = (plan.guests ?? [])
    .filter((guest) => guest.node === node.name)
    .map(({ netns, name: title, address }) =>
      house(look, { netns, title, addresses: [address], role: 'pod', isEnrolled: false }),
    );
  const hasZtunnel = plan.netns.some(({ name }) => name === node.ztunnelNetns);
  const ztunnel = house(look, {
    netns: node.ztunnelNetns,
    title: 'ztunnel',
    addresses: nodeAddresses(node).map(({ ztunnelAddress }) => ztunnelAddress),
    role: 'ztunnel',
    isEnrolled: false,
  });
  const own = seen.get(node.name) ?? [];
  const uplink = own.find((name) => peers.get(`${node.name}/${name}`)?.startsWith(`${fabric}/`));
  const switchPort = uplink === undefined ? undefined : peers.get(`${node.name}/${uplink}`);
  return {
    name: node.name,
    netns: node.name,
    addresses: nodeAddresses(node).map(({ address }) => address),
    houses: [...pods, ...guests, ...(hasZtunnel ? [ztunnel] : [])],
    ...(uplink !== undefined && { uplink: `${node.name}/${uplink}` }),
    ...(switchPort !== undefined && { switchPort }),
    loose: own.filter((name) => !peers.has(`${node.name}/${name}`)),
  };
}

function house(
  { plan, peers, seen, proxies }: Look,
  about: Omit<MapHouse, 'hasProxy' | 'loose' | 'hostEnd'>,
): MapHouse {
  const own = seen.get(about.netns) ?? [];
  const hostEnd = peers.get(`${about.netns}/eth0`);
  // In era geneve ztunnel has its sockets in its own pod only.
  const hasSockets = about.isEnrolled && plan.era !== 'geneve';
  return {
    ...about,
    hasProxy: hasSockets || about.hasSidecar === true || about.role === 'ztunnel' || proxies.has(about.netns),
    ...(hostEnd !== undefined && { hostEnd }),
    loose: own.filter((name) => name !== 'eth0' && name !== 'lo'),
  };
}

/** Tunnels that requests went through, each pair of ends once. */
function tunnelsOf(facts: RunFacts): readonly MapTunnel[] {
  const legs = facts.paths.flatMap((path) => path.legs);
  const found = legs.flatMap((leg) => [...hboneOf(facts, leg), ...overlaysOf(facts, leg)]);
  return [...new Map(found.map((each) => [`${each.kind} ${each.from} ${each.to}`, each])).values()];
}

function hboneOf({ connections }: RunFacts, leg: Leg): readonly MapTunnel[] {
  const session = leg.hbone ?? leg.mtls;
  if (session === undefined) return [];
  const isClear = connections[leg.connection]?.tls?.state === 'cleartext';
  const [from, to] = [placeOfEnd(leg.from), placeOfEnd(leg.to)];
  const identities = `${session.clientIdentity ?? 'no identity'} ⇄ ${session.serverIdentity ?? 'no identity'}`;
  return [
    {
      kind: isClear ? 'hbone-clear' : 'hbone',
      from,
      to,
      text: `${leg.hbone ? 'HBONE' : 'mTLS'} ${leg.from.address} → ${leg.to.address}, ${isClear ? 'without TLS' : identities}`,
      ...(isClear && { label: 'HBONE without TLS' }),
      ...(leg.mtls && { label: 'mTLS' }),
    },
  ];
}

/** Where on the map the holder of a socket is. */
export function placeOfEnd(end: {
  readonly kind: 'app' | 'ztunnel' | 'envoy' | 'node' | 'outside';
  readonly netns: string;
}): string {
  return `${end.kind === 'ztunnel' || end.kind === 'envoy' ? 'zt' : 'app'}:${end.netns}`;
}
