import { closeNetns, createNetns } from '../../../dataplane/kernel/netns.ts';
import { NetlinkSocket } from '../../../dataplane/kernel/netlink.ts';
import { findLink } from '../../../dataplane/kernel/rtnetlink-list.ts';
import { addAddress, createVeth, setLink } from '../../../dataplane/kernel/rtnetlink.ts';
import { createVxlan } from '../../../dataplane/kernel/tunnel-link.ts';
import { ensureTunnel } from '../../../dataplane/tunnels/ensure-tunnel.ts';
import { GENEVE_OVERHEAD_BYTES } from '../../../dataplane/tunnels/tunnel.ts';

/** Fall-backs for the kernel's geneve device. */
export const FALL_BACKS = ['vxlan-ebpf', 'vxlan-nft'] as const;
export type FallBack = (typeof FALL_BACKS)[number];

/** What is measured: a bare link, the kernel's vxlan on the same, each fall-back on one like it. */
export type Way = 'bare' | 'vxlan' | FallBack;

/** Address of the far end by each way. */
export const FAR: Readonly<Record<Way, string>> = {
  bare: '10.8.0.2',
  vxlan: '192.168.0.2',
  'vxlan-ebpf': '192.168.1.2',
  'vxlan-nft': '192.168.2.2',
};

/** Two namespaces and three links between them; what rewrites a header stands on a link of its own. */
export class TunnelWorld implements Disposable {
  readonly near = createNetns();
  readonly far = createNetns();

  static async build(fallBacks: readonly FallBack[]): Promise<TunnelWorld> {
    const world = new TunnelWorld();
    try {
      world.#makeLinks();
      for (const end of [1, 2] as const) await world.#makeTunnels(end, fallBacks);
      return world;
    } catch (error) {
      world[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeNetns(this.near);
    closeNetns(this.far);
  }

  #makeLinks(): void {
    using socket = this.#socket(1);
    for (const name of ['eth0', 'eth1', 'eth2']) {
      socket.request([createVeth({ name }, { name, netns: this.far })]);
    }
    for (const end of [1, 2] as const) {
      using route = this.#socket(end);
      route.request([setLink('lo', { isUp: true })]);
      for (const link of [0, 1, 2]) up(route, `eth${link}`, `10.8.${link}.${end}/24`);
    }
  }

  async #makeTunnels(end: 1 | 2, fallBacks: readonly FallBack[]): Promise<void> {
    const other = 3 - end;
    const netns = end === 1 ? this.near : this.far;
    for (const kind of fallBacks) {
      const link = FALL_BACKS.indexOf(kind) + 1;
      const spec = {
        ...{ name: `geneve${link}`, vni: 1000 + link, port: 6081, underlay: `eth${link}` },
        remote: `10.8.${link}.${other}`,
        address: `192.168.${link}.${end}/30`,
      };
      await ensureTunnel(spec, kind, { netns });
    }
    using route = this.#socket(end);
    const vxlan = {
      ...{ name: 'vxlan0', vni: 2000, port: 4789, remote: `10.8.0.${other}` },
      mtuBytes: 1500 - GENEVE_OVERHEAD_BYTES,
      sourcePorts: [1, 65535],
    } as const;
    route.request([createVxlan(vxlan)]);
    up(route, 'vxlan0', `192.168.0.${end}/30`);
  }

  #socket(end: 1 | 2): NetlinkSocket {
    return new NetlinkSocket({ protocol: 'route', netns: end === 1 ? this.near : this.far });
  }
}

function up(socket: NetlinkSocket, name: string, address: string): void {
  const { index } = findLink(socket, name)!;
  socket.request([addAddress({ index, address }), setLink(index, { isUp: true })]);
}
