import { listAddresses } from '../../dataplane/kernel/address-list.ts';
import { NetlinkSocket } from '../../dataplane/kernel/netlink.ts';
import { INBOUND_TUNNEL, OUTBOUND_TUNNEL } from '../../dataplane/redirect/geneve-constants.ts';
import {
  listLinks,
  listRoutes,
  type Link,
  type RouteListEntry,
} from '../../dataplane/kernel/rtnetlink-list.ts';
import { MAIN_TABLE } from '../../dataplane/kernel/rtnetlink.ts';
import type { EndpointPlan, NetnsPlan, Plan, RoutePlan } from '../plan/plan.ts';
import { asHost, familiesOf } from '../plan/families.ts';
import { fdOf, type NetnsTable } from './build.ts';
import { inSlices } from './slices.ts';
import { differingSysctls } from './sysctls.ts';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const RT_SCOPE_LINK = 253;
const TUNNELS = new Set<string>(
  [INBOUND_TUNNEL, OUTBOUND_TUNNEL].flatMap(({ node, ztunnel }) => [node.name, ztunnel.name]),
);
const RTPROT_KERNEL = 2;
const RTN_UNICAST = 1;
const BOOT_LINKS = new Set([
  'lo',
  'tunl0',
  'sit0',
  'gre0',
  'gretap0',
  'erspan0',
  'ip6tnl0',
  'ip6gre0',
]);

/** Ends of the plan's links by the netns they are in. */
type EndsByNetns = ReadonlyMap<string, readonly PlannedEnd[]>;
type PlannedEnd = EndpointPlan & { readonly mtuBytes: number };

/**
 * Links, addresses, routes and sysctls of the running world that differ from the plan, one sentence
 * each; empty when all is as planned. Read from the kernel by netlink, while other work of this
 * process goes on.
 */
export async function findDrift(plan: Plan, table: NetnsTable): Promise<string[]> {
  const ends = endsByNetns(plan);
  const faults: string[] = [];
  await inSlices(plan.netns, (netns) => {
    faults.push(...netnsFaults(plan, netns, fdOf(table, netns.name), ends));
  });
  return faults;
}

function endsByNetns(plan: Plan): EndsByNetns {
  const ends = new Map<string, PlannedEnd[]>();
  for (const { a, b, mtuBytes } of plan.links) {
    for (const end of [a, b]) {
      const known = ends.get(end.netns);
      if (known) known.push({ ...end, mtuBytes });
      else ends.set(end.netns, [{ ...end, mtuBytes }]);
    }
  }
  return ends;
}

function netnsFaults(plan: Plan, netns: NetnsPlan, fd: number, ends: EndsByNetns): string[] {
  using route = new NetlinkSocket({ protocol: 'route', netns: fd });
  const links = listLinks(route);
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const nameOf = (index: number | undefined): string => names.get(index ?? -1) ?? '?';
  const families = familiesOf(plan).includes('IPv6') ? FAMILIES : FAMILIES.slice(0, 1);
  const addresses = families
    .flatMap((family) => listAddresses(route, family))
    .filter(({ index }) => !isOfAgent(plan, nameOf(index)))
    // Link-local addresses of IPv6 are the kernel's.
    .filter(({ address, scope }) => scope !== RT_SCOPE_LINK || !address.includes(':'))
    .map(({ address, index }) => `${address} on ${nameOf(index)}`)
    .filter((shown) => shown !== '::1/128 on lo');
  const routes = families
    .flatMap((family) => listRoutes(route, family))
    .filter(isOurs)
    .map((r) => showSeen(r, nameOf));
  const faults = [
    ...linkFaults(plan, netns, links, ends.get(netns.name) ?? []),
    ...differences('address', wishedAddresses(netns), addresses),
    ...differences('route', netns.routes.map(showWished), routes),
    ...differingSysctls(netns, fd),
  ];
  return faults.map((fault) => `${netns.name}: ${fault}`);
}

function linkFaults(
  plan: Plan,
  netns: NetnsPlan,
  links: readonly Link[],
  ends: readonly PlannedEnd[],
): string[] {
  const bridges = netns.bridges.map(({ name }) => name);
  const overlays = netns.vxlans ?? [];
  const wished = new Set([...ends, ...overlays].map(({ name }) => name).concat(bridges));
  const byName = new Map(links.map((link) => [link.name, link]));
  const strays = links.filter(
    ({ name }) => !wished.has(name) && !BOOT_LINKS.has(name) && !isOfAgent(plan, name),
  );
  const isUp = (name: string): boolean => byName.get(name)?.isUp === true;
  return [
    ...[...ends, ...overlays].flatMap((end) => endFaults(end, byName, netns)),
    ...bridges.filter((name) => !isUp(name)).map((name) => `bridge ${name} is missing or down`),
    ...(isUp('lo') ? [] : ['lo is down']),
    ...strays.map(({ name }) => `link ${name} is not of the plan`),
  ];
}

function endFaults(
  end: Omit<PlannedEnd, 'netns'>,
  links: ReadonlyMap<string, Link>,
  netns: NetnsPlan,
): string[] {
  const link = links.get(end.name);
  if (!link) return [`link ${end.name} is missing`];
  const bridge = netns.bridges.find(({ ports }) => ports.includes(end.name))?.name;
  const master = [...links.values()].find(({ index }) => index === link.master)?.name;
  return [
    ...(link.isUp ? [] : [`link ${end.name} is down`]),
    ...(link.mac === end.mac ? [] : [`link ${end.name} has ${link.mac}, ${end.mac} wished`]),
    ...(link.mtuBytes === end.mtuBytes
      ? []
      : [`link ${end.name} has MTU ${link.mtuBytes}, ${end.mtuBytes} wished`]),
    ...(master === bridge
      ? []
      : [`link ${end.name} is a port of ${master ?? 'nothing'}, ${bridge ?? 'nothing'} wished`]),
  ];
}

/** Tunnels between a node and its ztunnel: the agent's, as its rules are. */
function isOfAgent(plan: Plan, link: string): boolean {
  return plan.era === 'geneve' && TUNNELS.has(link);
}

function wishedAddresses(netns: NetnsPlan): string[] {
  const own = netns.addresses.map(({ address, link }) => `${address} on ${link}`);
  return [...own, '127.0.0.1/8 on lo'];
}

/** Routes that the kernel makes with an address come and go with it. */
function isOurs({ table, protocol, type }: RouteListEntry): boolean {
  return table === MAIN_TABLE && protocol !== RTPROT_KERNEL && type === RTN_UNICAST;
}

function showWished({ to, via, link, source }: RoutePlan): string {
  const any = via?.includes(':') ? '::/0' : '0.0.0.0/0';
  const cidr = to === 'default' ? any : to.includes('/') ? to : asHost(to);
  return showRoute(cidr, via, link, source);
}

function showSeen(route: RouteListEntry, nameOf: (index: number | undefined) => string): string {
  return showRoute(route.to, route.via, nameOf(route.index), route.source);
}

function showRoute(to: string, via: string | undefined, link: string, source?: string): string {
  const gateway = via === undefined ? '' : ` via ${via}`;
  return `${to}${gateway} on ${link}${source === undefined ? '' : ` from ${source}`}`;
}

function differences(what: string, wished: readonly string[], seen: readonly string[]): string[] {
  const [isWished, isSeen] = [new Set(wished), new Set(seen)];
  return [
    ...wished.filter((one) => !isSeen.has(one)).map((one) => `${what} ${one} is missing`),
    ...seen.filter((one) => !isWished.has(one)).map((one) => `${what} ${one} is not of the plan`),
  ];
}
