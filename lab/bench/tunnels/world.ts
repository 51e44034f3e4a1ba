import { closeNetns, createNetns } from '../../../dataplane/kernel/netns.ts';
import { NetlinkSocket } from '../../../dataplane/kernel/netlink.ts';
import { findLink } from '../../../dataplane/kernel/rtnetlink-list.ts';
import { addAddress, createVeth, setLink } from '../../../dataplane/kernel/rtnetlink.ts';
import { createVxlan } from '../../../dataplane/kernel/tunnel-link.ts';
import { ensureTunnel } from '../../../dataplane/tunnels/ensure-tunnel.ts';
import { GENEVE_OVERHEAD_BYTES } from '../../../dataplane/tunnels/tunnel.ts';

/** What is measured: a bare link, the kernel's vxlan on one like it, and the fall-back on another. */
export const WAYS = ['bare', 'vxlan', 'fall-back'] as const;
export type Way = (typeof WAYS)[number];

/** Address of the far end by each way. */
export const FAR: Readonly<Record<Way, string>> = {
  bare: '10.8.1.2',
  vxlan: '192.168.1.2',
  'fall-back': '192.168.126.2',
};

/** Two namespaces, two links between them; only one of the links has nft chains. */
export class TunnelWorld implements Disposable {
  readonly near = createNetns();
  readonly far = createNetns();

  static async build(): Promise<TunnelWorld> {
    const world = new TunnelWorld();
    try {
      world.#makeLinks();
      for (const end of [1, 2] as const) await world.#makeTunnels(end);
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
    for (const name of ['eth0', 'eth1']) {
      socket.request([createVeth({ name }, { name, netns: this.far })]);
    }
    for (const end of [1, 2] as const) {
      using route = this.#socket(end);
      route.request([setLink('lo', { isUp: true })]);
      for (const link of [0, 1]) up(route, `eth${link}`, `10.8.${link}.${end}/24`);
    }
  }

  async #makeTunnels(end: 1 | 2): Promise<void> {
    const other = 3 - end;
    const spec = {
      ...{ name: 'istioin', vni: 1000, port: 6081, underlay: 'eth0' },
      remote: `10.8.0.${other}`,
      address: `192.168.126.${end}/30`,
    };
    await ensureTunnel(spec, 'vxlan-rewrite', { netns: end === 1 ? this.near : this.far });
    using route = this.#socket(end);
    const vxlan = {
      ...{ name: 'vxlan0', vni: 2000, port: 4789, remote: `10.8.1.${other}` },
      mtuBytes: 1500 - GENEVE_OVERHEAD_BYTES,
      sourcePorts: [1, 65535],
    } as const;
    route.request([createVxlan(vxlan)]);
    up(route, 'vxlan0', `192.168.1.${end}/30`);
  }

  #socket(end: 1 | 2): NetlinkSocket {
    return new NetlinkSocket({ protocol: 'route', netns: end === 1 ? this.near : this.far });
  }
}

function up(socket: NetlinkSocket, name: string, address: string): void {
  const { index } = findLink(socket, name)!;
  socket.request([addAddress({ index, address }), setLink(index, { isUp: true })]);
}
