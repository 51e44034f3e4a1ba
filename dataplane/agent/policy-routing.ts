import { NetlinkSocket } from '../kernel/netlink.ts';
import { findLink, listRoutes, listRules } from '../kernel/rtnetlink-list.ts';
import type { RouteListEntry, RuleListEntry } from '../kernel/rtnetlink-list.ts';
import { addRoute, addRule, deleteRoute, deleteRule } from '../kernel/rtnetlink.ts';
import type { RuleEntry } from '../kernel/rtnetlink.ts';
import { readSmallFiles } from '../kernel/small-files.ts';
import { ipArguments } from '../redirect/routing.ts';
import type { Family, RoutingEntry, RuleSet } from '../redirect/rule.ts';
import { RoutingMismatchError } from './errors.ts';

/** Types of routes in include/uapi/linux/rtnetlink.h. */
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

/**
 * Makes the entries be there, each once; IPv6 ones only where loopback has IPv6 (as Istio does).
 * @returns whether anything had to be added
 * @throws {NetlinkError} when the kernel refuses one
 * @throws {RoutingMismatchError} when one is not there afterwards
 */
export function ensureRouting(
  netns: number | undefined,
  entries: readonly RoutingEntry[],
): boolean {
  const wanted = entries.filter((entry) => entry.family === 'ipv4' || hasIpv6(netns));
  if (wanted.length === 0) return false;
  using socket = openSocket(netns);
  const missing = missingEntries(socket, wanted);
  if (missing.length === 0) return false;
  socket.request(missing.map((entry) => toMessage(socket, entry, 'add')));
  const still = missingEntries(socket, wanted);
  if (still.length === 0) return true;
  throw new RoutingMismatchError(still.map((entry) => `ip ${ipArguments(entry, 'add').join(' ')}`));
}

/**
 * Takes the entries away, those that are there.
 * @returns whether there were any
 * @throws {NetlinkError} when the kernel refuses
 */
export function removeRouting(
  netns: number | undefined,
  entries: readonly RoutingEntry[],
): boolean {
  if (entries.length === 0) return false;
  using socket = openSocket(netns);
  let isChanged = false;
  // A rule may stand several times; whoever added it by hand must not keep the pod captured.
  for (let round = 0; round < 16; round += 1) {
    const absent = missingEntries(socket, entries);
    const present = entries.filter((entry) => !absent.includes(entry));
    if (present.length === 0) break;
    socket.request(present.map((entry) => toMessage(socket, entry, 'del')));
    isChanged = true;
  }
  return isChanged;
}

/** Those of the entries that the kernel does not have. */
function missingEntries(
  socket: NetlinkSocket,
  entries: readonly RoutingEntry[],
): readonly RoutingEntry[] {
  const families = new Set(entries.map((entry) => entry.family));
  const rules = [...families].flatMap((family) => listRules(socket, family));
  const routes = [...families].flatMap((family) =>
    listRoutes(socket, family).map((route) => ({ ...route, family })),
  );
  return entries.filter((entry) => {
    if (!isRoute(entry)) return !rules.some((rule) => isRule(entry, rule));
    const index = findLink(socket, entry.link)?.index;
    return !routes.some((route) => isSameRoute(entry, route, index));
  });
}

type Route = Extract<RoutingEntry, { readonly kind: 'local-route' | 'route' }>;

function isRoute(entry: RoutingEntry): entry is Route {
  return entry.kind === 'local-route' || entry.kind === 'route';
}

function isRule(entry: Exclude<RoutingEntry, Route>, rule: RuleListEntry): boolean {
  const wanted = ruleOf(entry);
  return (
    rule.family === wanted.family &&
    rule.mark === (wanted.mark ?? 0) &&
    rule.mask === (wanted.mask ?? 0) &&
    rule.priority === wanted.priority &&
    rule.table === wanted.table &&
    rule.goto === wanted.goto &&
    !rule.isInverted &&
    rule.from === undefined &&
    rule.to === undefined
  );
}

function isSameRoute(
  entry: Route,
  route: RouteListEntry & { readonly family: Family },
  index: number | undefined,
): boolean {
  const isThere =
    route.family === entry.family &&
    route.table === entry.table &&
    route.to === entry.to &&
    route.index === index;
  if (entry.kind === 'local-route') return isThere && route.type === RTN_LOCAL;
  return (
    isThere &&
    route.type === RTN_UNICAST &&
    route.via === entry.via &&
    route.isOnlink === (entry.isOnlink ?? false) &&
    route.source === entry.source
  );
}

function ruleOf(entry: Exclude<RoutingEntry, Route>): RuleEntry {
  const { family, priority } = entry;
  switch (entry.kind) {
    case 'fwmark-rule':
      return { family, priority, table: entry.table, mark: entry.mark, mask: entry.mask };
    case 'goto-rule':
      return { family, priority, table: 0, goto: entry.target, mark: entry.mark, mask: entry.mask };
    case 'table-rule':
      return { family, priority, table: entry.table };
  }
}

function toMessage(socket: NetlinkSocket, entry: RoutingEntry, action: 'add' | 'del'): Buffer {
  if (!isRoute(entry)) return action === 'add' ? addRule(ruleOf(entry)) : deleteRule(ruleOf(entry));
  const index = findLink(socket, entry.link)?.index;
  const { to, table } = entry;
  const link = index === undefined ? {} : { index };
  if (entry.kind === 'local-route') {
    const route = { to, type: 'local', table, ...link } as const;
    return action === 'add' ? addRoute(route) : deleteRoute(route);
  }
  const { via, source, isOnlink } = entry;
  const route = { to, via, source, isOnlink, table, ...link };
  return action === 'add' ? addRoute(route) : deleteRoute(route);
}

/**
 * Takes out of tables and priorities that are ours alone what is none of the entries.
 * @returns whether there was anything
 * @throws {NetlinkError} when the kernel refuses
 */
export function removeStrangeRouting(
  netns: number | undefined,
  { routing, ownedTables = [], ownedPriorities = [] }: RuleSet,
): boolean {
  using socket = openSocket(netns);
  const wantedRules = routing.flatMap((entry) => (isRoute(entry) ? [] : [entry]));
  const wantedRoutes = routing.flatMap((entry) =>
    isRoute(entry) ? [{ entry, index: findLink(socket, entry.link)?.index }] : [],
  );
  const rules = listRules(socket, 'ipv4')
    .filter((rule) => ownedPriorities.includes(rule.priority))
    .filter((rule) => !wantedRules.some((entry) => isRule(entry, rule)));
  const routes = listRoutes(socket, 'ipv4')
    .filter((route) => ownedTables.includes(route.table))
    .filter(
      (route) =>
        !wantedRoutes.some(({ entry, index }) =>
          isSameRoute(entry, { ...route, family: 'ipv4' }, index),
        ),
    );
  if (rules.length + routes.length === 0) return false;
  socket.request([
    ...rules.map(({ family, priority, table, mark, mask, goto }) =>
      deleteRule({ family, priority, table, ...(goto === undefined ? {} : { goto }), mark, mask }),
    ),
    ...routes.map(({ to, table, index, type }) =>
      deleteRoute({
        to,
        table,
        ...(index === undefined ? {} : { index }),
        ...(type === RTN_LOCAL ? { type: 'local' as const } : {}),
      }),
    ),
  ]);
  return true;
}

function openSocket(netns: number | undefined): NetlinkSocket {
  return new NetlinkSocket({ protocol: 'route', ...(netns === undefined ? {} : { netns }) });
}

function hasIpv6(netns: number | undefined): boolean {
  const [text] = readSmallFiles(netns, ['/proc/sys/net/ipv6/conf/lo/disable_ipv6']);
  return text?.trim() === '0';
}
