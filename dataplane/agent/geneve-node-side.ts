import { NetlinkSocket } from '../kernel/netlink.ts';
import { closeNetns, openNetns } from '../kernel/netns.ts';
import { listLinks } from '../kernel/rtnetlink-list.ts';
import { listTunnelLinks } from '../kernel/tunnel-link.ts';
import * as g from '../redirect/geneve-constants.ts';
import type { GeneveRelease } from '../redirect/geneve-constants.ts';
import { genevePodSysctls, geneveNodeRules } from '../redirect/geneve-node.ts';
import type { GeneveNodeOptions, GenevePod } from '../redirect/geneve-node.ts';
import { geneveZtunnelRules } from '../redirect/geneve-ztunnel.ts';
import type { AddressSet, RuleSet } from '../redirect/rule.ts';
import type { TunnelKind } from '../tunnels/tunnel.ts';
import { createSet, destroySet, listMembers, removeMembers, upsertMembers } from './address-set.ts';
import type { ZtunnelReport } from './api.ts';
import type { ApplyResult } from './apply-options.ts';
import { applyRuleSet, removeRuleSet } from './apply-rule-set.ts';
import { ZtunnelLinkError } from './errors.ts';
import type { RulesPlace } from './rules-in-netns.ts';
import { ensureSysctls } from './sysctls.ts';
import { linkTowards, ownAddressWithin, sourceTowards } from './ways.ts';

export interface GeneveNodeSideOptions {
  readonly release: GeneveRelease;
  readonly dnsCapture: boolean;
  readonly nodeAddress: string | undefined;
  readonly podRange: string | undefined;
  readonly tunnelKind: TunnelKind;
  readonly place?: RulesPlace;
}

/** What was found out about a ztunnel when the node was set up for it. */
interface Installed {
  readonly ztunnel: ZtunnelReport;
  readonly node: GeneveNodeOptions;
  readonly inside: RuleSet;
}

/**
 * The kernel's part of era geneve on one node: the node's own netns and the ztunnel pod's. One pair
 * of tunnels, to one ztunnel at a time.
 */
export class GeneveNodeSide {
  readonly #options: GeneveNodeSideOptions;
  #installed: Installed | undefined;

  constructor(options: GeneveNodeSideOptions) {
    this.#options = options;
  }

  get port(): number | undefined {
    return this.#installed?.node.port;
  }

  /** Everything of ours is out of the node, whoever put it there: all traffic is direct. */
  async clean(): Promise<void> {
    this.#installed = undefined;
    const any = { hostAddress: '0.0.0.0', ztunnelAddress: '0.0.0.0', ztunnelLink: 'none' };
    const rules = geneveNodeRules({ ...any, dnsCapture: false });
    await removeRuleSet(rules, this.#place());
    for (const set of rules.sets) {
      await createSet(this.#place(), set);
      await destroySet(this.#place(), set);
    }
  }

  /**
   * The node and the ztunnel's netns lead to each other; pods are enrolled afterwards anew.
   * @throws {ZtunnelLinkError} when it is not reached by a veth, and errors of {@link applyRuleSet}
   */
  async install(ztunnel: ZtunnelReport): Promise<void> {
    const { release, dnsCapture, podRange, nodeAddress } = this.#options;
    const { address } = ztunnel;
    const ztunnelLink = this.#vethTo(address);
    const inPods = podRange === undefined ? undefined : ownAddressWithin(podRange);
    const remote = await sourceTowards(address);
    const node: GeneveNodeOptions = {
      release,
      hostAddress: inPods ?? nodeAddress ?? remote,
      ztunnelAddress: address,
      ztunnelLink: ztunnelLink.name,
      port: this.#freePort(address),
      dnsCapture,
    };
    const inside = geneveZtunnelRules({
      hostAddress: remote,
      ztunnelAddress: address,
      link: this.#nameInside(ztunnel, ztunnelLink.peer?.index),
      port: node.port,
    });
    this.#installed = { ztunnel, node, inside };
    const rules = geneveNodeRules(node);
    for (const set of rules.sets) await createSet(this.#place(), set);
    await applyRuleSet(rules, this.#place());
    await this.#applyInside();
  }

  /** Set and routes hold these pods and no others; rules, links and settings are as they should be. */
  async ensure(pods: readonly GenevePod[]): Promise<ApplyResult> {
    const installed = this.#installed;
    if (installed === undefined) return 'unchanged';
    const links = pods.flatMap(({ address }) => linkTowards(address)?.name ?? []);
    const isSet = ensureSysctls(undefined, links.flatMap(genevePodSysctls));
    const rules = geneveNodeRules(installed.node, pods);
    let isChanged = isSet;
    for (const set of rules.sets) isChanged = (await this.#fill(set, pods)) || isChanged;
    const outside = await applyRuleSet(rules, this.#place());
    const inside = await this.#applyInside();
    if (outside !== 'unchanged') return outside;
    if (inside !== 'unchanged') return inside;
    return isChanged ? 'repaired' : 'unchanged';
  }

  async #fill(set: AddressSet, pods: readonly GenevePod[]): Promise<boolean> {
    const present = await listMembers(this.#place(), set).catch(async () => {
      await createSet(this.#place(), set);
      return [];
    });
    const missing = pods.filter(
      (pod) => !present.some((one) => one.address === pod.address && one.uid === pod.uid),
    );
    const stale = present.filter((one) => !pods.some((pod) => pod.address === one.address));
    await upsertMembers(this.#place(), set, missing);
    await removeMembers(this.#place(), set, stale);
    return missing.length + stale.length > 0;
  }

  async #applyInside(): Promise<ApplyResult> {
    if (this.#installed === undefined) return 'unchanged';
    const { ztunnel, inside } = this.#installed;
    const netns = openNetns(ztunnel.netns);
    try {
      return await applyRuleSet(inside, { ...this.#place(), netns });
    } finally {
      closeNetns(netns);
    }
  }

  #vethTo(address: string): NonNullable<ReturnType<typeof linkTowards>> {
    const link = linkTowards(address);
    if (link?.kind === 'veth') return link;
    const state = link === undefined ? 'there is no route' : `the route leads to ${link.name}`;
    throw new ZtunnelLinkError(address, `${state}: not a CNI that works with veth`);
  }

  #nameInside({ netns: path, address }: ZtunnelReport, index: number | undefined): string {
    const netns = openNetns(path);
    try {
      using socket = new NetlinkSocket({ protocol: 'route', netns });
      const link = listLinks(socket).find((one) => one.index === index);
      if (link !== undefined) return link.name;
    } finally {
      closeNetns(netns);
    }
    throw new ZtunnelLinkError(address, `its netns has no other end of the node's link`);
  }

  /** The first port that no other tunnel stands in the way of; 1.18 looks at none. */
  #freePort(remote: string): number {
    if (this.#options.release === '1.18') return g.GENEVE_PORT;
    using socket = new NetlinkSocket({ protocol: 'route' });
    const vnis: readonly number[] = [g.INBOUND_TUNNEL.vni, g.OUTBOUND_TUNNEL.vni];
    const taken = listTunnelLinks(socket)
      .filter((link) => {
        const isExternal = link.vni === 0 && link.remote === '';
        return isExternal || (vnis.includes(link.vni) && link.remote === remote);
      })
      .map(({ port }) => port);
    let port: number = g.GENEVE_PORT;
    while (taken.includes(port)) port += 1;
    return port;
  }

  #place() {
    return { ...this.#options.place, tunnelKind: this.#options.tunnelKind };
  }
}
