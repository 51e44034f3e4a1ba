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

/**
 * Links, addresses, routes and sysctls of the running world that differ from the plan, one sentence
 * each; empty when all is as planned. Read from the kernel by netlink.
 */
export function findDrift(plan: Plan, table: NetnsTable): string[] {
  return plan.netns.flatMap((netns) => {
    const fd = fdOf(table, netns.name);
    using route = new NetlinkSocket({ protocol: 'route', netns: fd });
    const links = listLinks(route);
    const nameOf = (index: number | undefined): string =>
      links.find((link) => link.index === index)?.name ?? '?';
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
      ...linkFaults(plan, netns, links),
      ...differences('address', wishedAddresses(netns), addresses),
      ...differences('route', netns.routes.map(showWished), routes),
      ...differingSysctls(netns, fd),
    ];
    return faults.map((fault) => `${netns.name}: ${fault}`);
  });
}

function linkFaults(plan: Plan, netns: NetnsPlan, links: readonly Link[]): string[] {
  const ends = plan.links.flatMap(({ a, b, mtuBytes }) =>
    [a, b].filter((end) => end.netns === netns.name).map((end) => ({ ...end, mtuBytes })),
  );
  const bridges = netns.bridges.map(({ name }) => name);
  const overlays = netns.vxlans ?? [];
  const wished = [...ends, ...overlays].map(({ name }) => name).concat(bridges);
  const strays = links.filter(
    ({ name }) => !wished.includes(name) && !BOOT_LINKS.has(name) && !isOfAgent(plan, name),
  );
  return [
    ...[...ends, ...overlays].flatMap((end) => endFaults(end, links, netns)),
    ...bridges
      .filter((name) => !isUp(links, name))
      .map((name) => `bridge ${name} is missing or down`),
    ...(isUp(links, 'lo') ? [] : ['lo is down']),
    ...strays.map(({ name }) => `link ${name} is not of the plan`),
  ];
}

function endFaults(
  end: Omit<EndpointPlan, 'netns'> & { readonly mtuBytes: number },
  links: readonly Link[],
  netns: NetnsPlan,
): string[] {
  const link = links.find(({ name }) => name === end.name);
  if (!link) return [`link ${end.name} is missing`];
  const bridge = netns.bridges.find(({ ports }) => ports.includes(end.name))?.name;
  const master = links.find(({ index }) => index === link.master)?.name;
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

function isUp(links: readonly Link[], name: string): boolean {
  return links.some((link) => link.name === name && link.isUp);
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
  return [
    ...wished.filter((one) => !seen.includes(one)).map((one) => `${what} ${one} is missing`),
    ...seen
      .filter((one) => !wished.includes(one))
      .map((one) => `${what} ${one} is not of the plan`),
  ];
}
