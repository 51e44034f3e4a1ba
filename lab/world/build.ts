import { NetlinkSocket } from '../../dataplane/kernel/netlink.ts';
import { bindNetns, createNetns } from '../../dataplane/kernel/netns.ts';
import { listLinks } from '../../dataplane/kernel/rtnetlink-list.ts';
import {
  addAddress,
  addForwarding,
  addNeighbour,
  addRoute,
  createBridge,
  createVeth,
  createVxlan,
  setHairpin,
  setLink,
} from '../../dataplane/kernel/rtnetlink.ts';
import type { EndpointPlan, NetnsPlan, Plan } from '../plan/plan.ts';
import { LabError } from './errors.ts';
import { netnsPath } from './paths.ts';
import { runCaptured } from './run-captured.ts';
import { immediate, inSlices } from './slices.ts';
import { FreshSysctls, writeSysctls } from './sysctls.ts';

const RESTORE_TIMEOUT_MS = 20_000;
const LINKS_AT_ONCE = 16;

/** Links of the plan; the kernel may put others into a fresh namespace. */
const OUR_KINDS: ReadonlySet<string> = new Set(['veth', 'bridge', 'vxlan']);

/** Descriptors of the lab's namespaces by name; whoever has them holds the namespaces. */
export type NetnsTable = ReadonlyMap<string, number>;

/**
 * Makes these namespaces of the plan, visible below /run/netns, with their sysctls set and loopback
 * down, and puts them into `table`. Sysctls come first, so that interfaces inherit them. Other work
 * of this process goes on meanwhile.
 *
 * @throws LabError LAB_BUILD_FAILED, {KernelError}
 */
export async function createNamespaces(
  plans: readonly NetnsPlan[],
  table: Map<string, number>,
): Promise<void> {
  const fresh = new FreshSysctls();
  await inSlices(plans, (netns) => {
    const fd = createNetns();
    table.set(netns.name, fd);
    bindNetns(fd, netnsPath(netns.name));
    writeSysctls(netns, fd, fresh);
  });
}

/**
 * Makes all links, addresses and routes of the plan, everything up. A few batches make all veth
 * pairs, two more per namespace do the rest. Other work of this process goes on meanwhile.
 *
 * @throws LabError LAB_BUILD_FAILED, {NetlinkError}
 */
export async function buildLinks(plan: Plan, table: NetnsTable): Promise<void> {
  using route = new NetlinkSocket({ protocol: 'route' });
  const endOf = ({ netns, name, mac }: EndpointPlan, mtuBytes: number) => {
    return { name, mac, mtuBytes, netns: fdOf(table, netns) };
  };
  for (let at = 0; at < plan.links.length; at += LINKS_AT_ONCE) {
    const links = plan.links.slice(at, at + LINKS_AT_ONCE);
    route.request(
      links.map(({ a, b, mtuBytes }) => createVeth(endOf(a, mtuBytes), endOf(b, mtuBytes))),
    );
    await immediate();
  }
  await inSlices(plan.netns, (netns) => configure(netns, fdOf(table, netns.name)));
}

/**
 * Loads the start-up rules of every namespace that has some, all at once.
 *
 * @throws LabError LAB_BUILD_FAILED with what iptables-restore said
 */
export async function restoreRules(plan: Plan, table: NetnsTable): Promise<void> {
  await Promise.all(
    startRules(plan).map(async ({ name, program, restore }) => {
      const argv = [program, '-w', '10'];
      const netnsFd = fdOf(table, name);
      const done = await runCaptured(argv, {
        netnsFd,
        input: restore,
        timeoutMs: RESTORE_TIMEOUT_MS,
      });
      if (done.exitCode === 0) return;
      throw new LabError(
        'LAB_BUILD_FAILED',
        `Cannot load the rules of "${name}": ${done.stderr.trim()}`,
        { details: { ...done, argv, restore } },
      );
    }),
  );
}

/** Start-up rules of one namespace and family, and the program that loads them. */
export interface StartRules {
  readonly name: string;
  readonly program: 'iptables-restore' | 'ip6tables-restore';
  readonly restore: string;
}

/** The start-up rules of a plan, for each namespace and family that has some. */
export function startRules(plan: Plan): readonly StartRules[] {
  return plan.netns.flatMap(({ name, restore = '', restoreIpv6 = '' }): StartRules[] => [
    ...(restore === '' ? [] : [{ name, program: 'iptables-restore' as const, restore }]),
    ...(restoreIpv6 === ''
      ? []
      : [{ name, program: 'ip6tables-restore' as const, restore: restoreIpv6 }]),
  ]);
}

/** @throws LabError LAB_BUILD_FAILED for a namespace the plan does not have. */
export function fdOf(table: NetnsTable, netns: string): number {
  const fd = table.get(netns);
  if (fd !== undefined) return fd;
  throw new LabError('LAB_BUILD_FAILED', `Cannot find namespace "${netns}": the plan has none`);
}

function configure(netns: NetnsPlan, fd: number): void {
  using route = new NetlinkSocket({ protocol: 'route', netns: fd });
  const vxlans = netns.vxlans ?? [];
  const devices = [
    ...netns.bridges.map(({ name, mac }) => createBridge({ name, mac })),
    ...vxlans.map(createVxlan),
  ];
  if (devices.length > 0) route.request(devices);
  const links = listLinks(route);
  const indexes = new Map(links.map(({ name, index }) => [name, index]));
  const indexOf = (name: string): number => {
    const index = indexes.get(name);
    if (index !== undefined) return index;
    throw new LabError(
      'LAB_BUILD_FAILED',
      `Cannot find link "${name}" in namespace "${netns.name}"`,
    );
  };
  route.request([
    ...netns.bridges.flatMap(({ name, ports }) =>
      ports.map((port) => setLink(indexOf(port), { master: indexOf(name) })),
    ),
    ...netns.bridges
      .filter(({ hairpin }) => hairpin)
      .flatMap(({ ports }) => ports.map((port) => setHairpin(indexOf(port)))),
    ...netns.addresses.map(({ link, address }) => addAddress({ address, index: indexOf(link) })),
    ...links
      .filter(({ name, kind }) => name === 'lo' || OUR_KINDS.has(kind))
      .map(({ index }) => setLink(index, { isUp: true })),
    ...netns.routes.map(({ link, ...rest }) => addRoute({ ...rest, index: indexOf(link) })),
    ...vxlans.flatMap(({ name, peers }) =>
      peers.flatMap(({ node, addresses, mac }) => [
        ...addresses.map((address) => addNeighbour(indexOf(name), address, mac)),
        addForwarding(indexOf(name), mac, node),
      ]),
    ),
  ]);
}
