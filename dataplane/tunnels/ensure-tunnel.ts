import { runProgram } from '../agent/programs.ts';
import { NetlinkError, NetlinkSocket } from '../kernel/netlink.ts';
import { findLink, type Link } from '../kernel/rtnetlink-list.ts';
import { addAddress, deleteLink, setLink } from '../kernel/rtnetlink.ts';
import {
  createGeneve,
  createVxlan,
  listTunnelLinks,
  type TunnelLink,
} from '../kernel/tunnel-link.ts';
import { TunnelError } from './errors.ts';
import { dropPrograms, dropStrayPrograms, ensurePrograms } from './header-programs.ts';
import { dropRewrite, rewriteRules, rewriteTable } from './header-rewrite.ts';
import { netdevTables } from './list-tunnels.ts';
import { checkTunnel, GENEVE_OVERHEAD_BYTES, type TunnelKind, type TunnelSpec } from './tunnel.ts';

/** Where a tunnel ends, and with which programs its rules are loaded. */
export interface TunnelPlace {
  /** Descriptor of the netns; this process's own when absent. */
  readonly netns?: number | undefined;
  /** Name on PATH, or path, of nft; used by `vxlan-nft` only. */
  readonly nft?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The source ports that the geneve device takes: every one (`geneve_xmit_skb`). */
const SOURCE_PORTS = [1, 65535] as const;

/**
 * Makes the tunnel be there, with its address, up; as wide as the geneve device makes itself from the
 * link below (50 bytes less). A device of that name with another VNI, remote, port or kind is
 * replaced. Routes are the caller's.
 * @returns whether it was there already
 * @throws {TunnelError} DATAPLANE_TUNNEL_INPUT, DATAPLANE_TUNNEL_UNDERLAY when the link below is not
 *   there, DATAPLANE_TUNNEL_TAKEN when the name or VNI and port are something else's
 * @throws {NetlinkError} {@link KernelError} {@link ProgramError} when the kernel or nft refuses
 */
export async function ensureTunnel(
  spec: TunnelSpec,
  kind: TunnelKind,
  place: TunnelPlace = {},
): Promise<'unchanged' | 'created' | 'replaced'> {
  checkTunnel(spec);
  const underlay = withSocket(place, (socket) => findLink(socket, spec.underlay));
  if (underlay === undefined) {
    throw new TunnelError(
      'DATAPLANE_TUNNEL_UNDERLAY',
      `Cannot make tunnel "${spec.name}": no link "${spec.underlay}" is here, the link to ` +
        `${spec.remote} is wished`,
    );
  }
  const before = withSocket(place, (socket) => existing(socket, spec));
  const isSame = before !== undefined && isAsWished(before, spec, kind);
  if (before !== undefined && !isSame) await removeTunnel(spec.name, place);
  try {
    // It goes first: no frame of the vxlan device leaves as VXLAN, not even its first.
    if (kind !== 'geneve') await ensureRewriting(spec, kind, place, underlay);
    if (!isSame) withSocket(place, (socket) => makeLink(socket, spec, kind, underlay.mtuBytes));
  } catch (error) {
    if (kind !== 'geneve' && !isSame) await dropRewriting(spec.name, place).catch(() => {});
    throw error;
  }
  if (isSame) {
    withSocket(place, (socket) => ensureAddress(socket, before.index, spec.address));
    return 'unchanged';
  }
  return before === undefined ? 'created' : 'replaced';
}

/**
 * Takes the tunnel away, and the programs or the nft table that were its own; others stay as they are.
 * Twice is as good as once.
 * @returns whether a device was there
 * @throws {NetlinkError} {@link ProgramError}
 */
export async function removeTunnel(name: string, place: TunnelPlace = {}): Promise<boolean> {
  const link = withSocket(place, (socket) =>
    listTunnelLinks(socket).find((candidate) => candidate.name === name),
  );
  if (link !== undefined) withSocket(place, (socket) => socket.request([deleteLink(link.index)]));
  if (link?.kind !== 'geneve') await dropRewriting(name, place);
  return link !== undefined;
}

function existing(socket: NetlinkSocket, spec: TunnelSpec): TunnelLink | undefined {
  const tunnel = listTunnelLinks(socket).find((link) => link.name === spec.name);
  const other = tunnel === undefined ? findLink(socket, spec.name) : undefined;
  if (other === undefined) return tunnel;
  throw new TunnelError(
    'DATAPLANE_TUNNEL_TAKEN',
    `Cannot make tunnel "${spec.name}": a link of kind "${other.kind}" has the name, ` +
      'a name of its own is wished',
  );
}

function isAsWished(link: TunnelLink, spec: TunnelSpec, kind: TunnelKind): boolean {
  const wished = kind === 'geneve' ? 'geneve' : 'vxlan';
  return (
    link.kind === wished &&
    link.vni === spec.vni &&
    link.remote === spec.remote &&
    link.port === spec.port &&
    link.isUp
  );
}

function makeLink(
  socket: NetlinkSocket,
  spec: TunnelSpec,
  kind: TunnelKind,
  underlayMtuBytes: number,
): void {
  const { name, vni, remote, port } = spec;
  const end = { name, vni, remote, port, mtuBytes: underlayMtuBytes - GENEVE_OVERHEAD_BYTES };
  const message =
    kind === 'geneve' ? createGeneve(end) : createVxlan({ ...end, sourcePorts: SOURCE_PORTS });
  try {
    socket.request([message]);
  } catch (error) {
    // EEXIST of vxlan, EBUSY of geneve.
    const isTaken = error instanceof NetlinkError && /^E(EXIST|BUSY)$/.test(error.errnoName);
    if (!isTaken) throw error;
    throw new TunnelError(
      'DATAPLANE_TUNNEL_TAKEN',
      `Cannot make tunnel "${name}": another device has VNI ${vni} on port ${port}, ` +
        'a free one is wished',
      error,
    );
  }
  try {
    const index = findLink(socket, name)!.index;
    socket.request([addAddress({ index, address: spec.address }), setLink(index, { isUp: true })]);
  } catch (error) {
    socket.request([deleteLink(name)]);
    throw error;
  }
}

function ensureAddress(socket: NetlinkSocket, index: number, address: string): void {
  try {
    socket.request([addAddress({ index, address })]);
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errnoName !== 'EEXIST') throw error;
  }
}

/** Makes the header's rewriting be there, and in one way only. */
async function ensureRewriting(
  spec: TunnelSpec,
  kind: Exclude<TunnelKind, 'geneve'>,
  place: TunnelPlace,
  underlay: Link,
): Promise<void> {
  if (kind === 'vxlan-nft') {
    dropPrograms(spec, underlay, place.netns);
    await loadRules(rewriteRules(spec), place);
  } else {
    ensurePrograms(spec, underlay, place.netns);
    await dropTable(spec.name, place);
  }
}

/** Takes away what rewrites the header of a tunnel that is no more. */
async function dropRewriting(tunnel: string, place: TunnelPlace): Promise<void> {
  dropStrayPrograms(place.netns);
  await dropTable(tunnel, place);
}

async function dropTable(tunnel: string, place: TunnelPlace): Promise<void> {
  if (netdevTables(place.netns).has(rewriteTable(tunnel))) {
    await loadRules(dropRewrite(tunnel), place);
  }
}

async function loadRules(input: string, place: TunnelPlace): Promise<void> {
  await runProgram([place.nft ?? 'nft', '-f', '-'], { ...place, input });
}

function withSocket<T>(place: TunnelPlace, use: (socket: NetlinkSocket) => T): T {
  using socket = new NetlinkSocket({
    protocol: 'route',
    ...(place.netns === undefined ? {} : { netns: place.netns }),
  });
  return use(socket);
}
