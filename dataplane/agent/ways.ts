import { createSocket } from 'node:dgram';
import { listAddresses } from '../kernel/address-list.ts';
import { NetlinkSocket } from '../kernel/netlink.ts';
import { withNetns } from '../kernel/netns.ts';
import { findLink, listRoutes } from '../kernel/rtnetlink-list.ts';
import type { Link } from '../kernel/rtnetlink-list.ts';
import { MAIN_TABLE } from '../kernel/rtnetlink.ts';

/** The link that table main leads to an address by; the most specific route counts. */
export function linkTowards(address: string, netns?: number): Link | undefined {
  using socket = openSocket(netns);
  const [best] = listRoutes(socket, 'ipv4')
    .filter(({ table, to }) => table === MAIN_TABLE && isWithin(address, to))
    .toSorted((a, b) => lengthOf(b.to) - lengthOf(a.to) || a.metric - b.metric);
  return best?.index === undefined ? undefined : findLink(socket, best.index);
}

/** The first address of this node that is of a range. */
export function ownAddressWithin(range: string, netns?: number): string | undefined {
  using socket = openSocket(netns);
  const own = listAddresses(socket, 'ipv4').map(({ address }) => address.split('/')[0] ?? '');
  return own.find((address) => isWithin(address, range));
}

/** The source address that the kernel chooses towards an address; nothing is sent. */
export async function sourceTowards(address: string, netns?: number): Promise<string> {
  const open = () => createSocket('udp4');
  const socket = netns === undefined ? open() : withNetns(netns, open);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // The port that upstream dials; none of it leaves the machine.
      socket.connect(80, address, resolve);
    });
    return socket.address().address;
  } finally {
    socket.close();
  }
}

/** Whether an IPv4 address is of a range. */
export function isWithin(address: string, range: string): boolean {
  const [base = ''] = range.split('/');
  const shift = 32 - lengthOf(range);
  return shift === 32 || numberOf(address) >>> shift === numberOf(base) >>> shift;
}

function lengthOf(range: string): number {
  return Number(range.split('/')[1] ?? 32);
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}

function openSocket(netns: number | undefined): NetlinkSocket {
  return new NetlinkSocket({ protocol: 'route', ...(netns === undefined ? {} : { netns }) });
}
