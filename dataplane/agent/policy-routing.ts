import { readFileSync } from 'node:fs';
import { NetlinkSocket } from '../kernel/netlink.ts';
import { withNetns } from '../kernel/netns.ts';
import { findLink, listRoutes, listRules } from '../kernel/rtnetlink-list.ts';
import { addRoute, addRule, deleteRoute, deleteRule } from '../kernel/rtnetlink.ts';
import { ipArguments } from '../redirect/routing.ts';
import type { RoutingEntry } from '../redirect/rule.ts';
import { RoutingMismatchError } from './errors.ts';

/** `RTN_LOCAL` of include/uapi/linux/rtnetlink.h. */
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
    if (entry.kind === 'fwmark-rule') {
      return !rules.some(
        (rule) =>
          rule.family === entry.family &&
          rule.mark === entry.mark &&
          rule.mask === entry.mask &&
          rule.priority === entry.priority &&
          rule.table === entry.table &&
          !rule.isInverted &&
          rule.from === undefined &&
          rule.to === undefined,
      );
    }
    const index = findLink(socket, entry.link)?.index;
    return !routes.some(
      (route) =>
        route.family === entry.family &&
        route.table === entry.table &&
        route.type === RTN_LOCAL &&
        route.to === entry.to &&
        route.index === index,
    );
  });
}

function toMessage(socket: NetlinkSocket, entry: RoutingEntry, action: 'add' | 'del'): Buffer {
  if (entry.kind === 'fwmark-rule') {
    const { family, mark, mask, priority, table } = entry;
    const rule = { family, mark, mask, priority, table };
    return action === 'add' ? addRule(rule) : deleteRule(rule);
  }
  const index = findLink(socket, entry.link)?.index;
  const link = index === undefined ? {} : { index };
  const route = { to: entry.to, type: 'local', table: entry.table, ...link } as const;
  return action === 'add' ? addRoute(route) : deleteRoute(route);
}

function openSocket(netns: number | undefined): NetlinkSocket {
  return new NetlinkSocket({ protocol: 'route', ...(netns === undefined ? {} : { netns }) });
}

function hasIpv6(netns: number | undefined): boolean {
  const path = '/proc/sys/net/ipv6/conf/lo/disable_ipv6';
  const read = (): boolean => {
    try {
      return readFileSync(path, 'utf8').trim() === '0';
    } catch {
      return false;
    }
  };
  return netns === undefined ? read() : withNetns(netns, read);
}
