import {
  attachProgram,
  detachProgram,
  listPrograms,
  loadClassifier,
  programTags,
} from '../kernel/bpf.ts';
import type { LinkHook } from '../kernel/bpf.ts';
import { NetlinkSocket } from '../kernel/netlink.ts';
import { type Link, listLinks } from '../kernel/rtnetlink-list.ts';
import { closeFd } from '../kernel/sockets.ts';
import { listTunnelLinks } from '../kernel/tunnel-link.ts';
import { TunnelError } from './errors.ts';
import { headerInstructions, type HeaderSpec, type HeaderWay } from './header-program.ts';
import type { TunnelSpec } from './tunnel.ts';

const HOOKS = { leaving: 'egress', arriving: 'ingress' } as const;
const WAYS: readonly HeaderWay[] = ['leaving', 'arriving'];

/** ARPHRD_*: links whose packets have an Ethernet header. */
const WITH_ETHERNET: readonly number[] = [1, 772];

/** A rewriting program that was found at a link. */
export interface HeaderProgram {
  readonly link: Pick<Link, 'index' | 'name'>;
  readonly way: HeaderWay;
  readonly id: number;
  readonly tag: string;
}

/** Name that `bpftool` shows. */
function nameOf(way: HeaderWay): string {
  return `geneve_${way}`;
}

/**
 * Makes both programs of a tunnel be at the link below it, byte for byte as they are wished.
 * @throws {TunnelError} DATAPLANE_TUNNEL_UNDERLAY for a link without Ethernet headers
 * @throws {KernelError} where the kernel has no such hooks (Linux 6.6), or does not allow it
 */
export function ensurePrograms(spec: TunnelSpec, underlay: Link, netns: number | undefined): void {
  if (!WITH_ETHERNET.includes(underlay.type)) {
    throw new TunnelError(
      'DATAPLANE_TUNNEL_UNDERLAY',
      `Cannot make tunnel "${spec.name}": link "${underlay.name}" has no Ethernet headers, ` +
        'one with them is wished for eBPF',
    );
  }
  for (const way of WAYS) {
    const instructions = headerInstructions(spec, way);
    const tags = programTags(instructions);
    const at: LinkHook = { netns, link: underlay.index, hook: HOOKS[way] };
    if (listPrograms(at).some(({ tag }) => tags.includes(tag))) continue;
    const program = loadClassifier(instructions, nameOf(way));
    try {
      attachProgram(at, program);
    } finally {
      closeFd(program);
    }
  }
}

/** Takes the programs of this tunnel from the link below it. */
export function dropPrograms(
  spec: HeaderSpec,
  underlay: Pick<Link, 'index'>,
  netns: number | undefined,
): void {
  for (const way of WAYS) {
    const at: LinkHook = { netns, link: underlay.index, hook: HOOKS[way] };
    const tags = programTags(headerInstructions(spec, way));
    for (const { id } of listPrograms(at).filter(({ tag }) => tags.includes(tag))) {
      detachProgram(at, id);
    }
  }
}

/** Takes rewriting programs away that belong to no vxlan device of the netns. */
export function dropStrayPrograms(netns: number | undefined): void {
  const { programs, tunnels } = readHeaders(netns);
  for (const { link, way, id, tag } of programs) {
    if (tunnels.some((tunnel) => isOf(tunnel, way, tag))) continue;
    detachProgram({ netns, link: link.index, hook: HOOKS[way] }, id);
  }
}

/** All rewriting programs at links of the netns, and those of them that are a given tunnel's. */
export function listHeaderPrograms(netns: number | undefined): readonly HeaderProgram[] {
  return readHeaders(netns).programs;
}

/** Whether the program does exactly what that tunnel needs. */
export function isOf(tunnel: HeaderSpec, way: HeaderWay, tag: string): boolean {
  return tunnel.remote !== '' && programTags(headerInstructions(tunnel, way)).includes(tag);
}

function readHeaders(netns: number | undefined) {
  using socket = new NetlinkSocket({
    protocol: 'route',
    ...(netns === undefined ? {} : { netns }),
  });
  const tunnels = listTunnelLinks(socket).filter(({ kind }) => kind === 'vxlan');
  const programs = listLinks(socket).flatMap(({ index, name }) =>
    WAYS.flatMap((way) =>
      listPrograms({ netns, link: index, hook: HOOKS[way] })
        .filter((program) => program.name === nameOf(way))
        .map(({ id, tag }): HeaderProgram => ({ link: { index, name }, way, id, tag })),
    ),
  );
  return { programs, tunnels };
}
