import { NetlinkError, NetlinkSocket } from '../kernel/netlink.ts';
import { listNftTables } from '../kernel/nftables.ts';
import { listTunnelLinks, type TunnelLink } from '../kernel/tunnel-link.ts';
import { type HeaderProgram, isOf, listHeaderPrograms } from './header-programs.ts';
import { rewriteTable } from './header-rewrite.ts';
import type { TunnelKind } from './tunnel.ts';

/** A Geneve tunnel that is there, and how it was made. */
export interface FoundTunnel extends Omit<TunnelLink, 'kind'> {
  readonly kind: TunnelKind;
  /** Of `vxlan-ebpf`: both programs, where they are. */
  readonly programs?: readonly HeaderProgram[];
}

/**
 * The Geneve tunnels of a netns (this process's own when absent), as the kernel tells them. A vxlan
 * device is one when both programs that its header needs are there, or the nft table of its name.
 */
export function listTunnels(netns?: number): readonly FoundTunnel[] {
  using socket = new NetlinkSocket({
    protocol: 'route',
    ...(netns === undefined ? {} : { netns }),
  });
  const links = listTunnelLinks(socket);
  const hasVxlan = links.some((link) => link.kind === 'vxlan');
  const all = hasVxlan ? listHeaderPrograms(netns) : [];
  const tables = hasVxlan ? netdevTables(netns) : new Set();
  return links.flatMap((link): FoundTunnel[] => {
    if (link.kind === 'geneve') return [{ ...link, kind: 'geneve' }];
    const programs = all.filter(({ way, tag }) => isOf(link, way, tag));
    const ways = new Set(programs.map(({ way }) => way));
    if (ways.size === 2) return [{ ...link, kind: 'vxlan-ebpf', programs }];
    return tables.has(rewriteTable(link.name)) ? [{ ...link, kind: 'vxlan-nft' }] : [];
  });
}

/** Names of the nft tables of family netdev. */
export function netdevTables(netns: number | undefined): ReadonlySet<string> {
  using socket = new NetlinkSocket({
    protocol: 'netfilter',
    ...(netns === undefined ? {} : { netns }),
  });
  try {
    const tables = listNftTables(socket).filter(({ family }) => family === 'netdev');
    return new Set(tables.map(({ name }) => name));
  } catch (error) {
    // Where there is no nf_tables, none of its tables was ever loaded.
    if (error instanceof NetlinkError) return new Set();
    throw error;
  }
}
