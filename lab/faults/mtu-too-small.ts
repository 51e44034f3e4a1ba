import { inPlace } from '../world/in-place.ts';
import type { Plan } from '../plan/plan.ts';
import type { Lab } from '../world/lab.ts';
import type { NodeFault } from './fault.ts';

/** What the network between the nodes carries less than it should. */
const SHORT_BYTES = 100;
const FABRIC = 'fabric';
const UPLINK = 'eth0';

interface SavedLink {
  readonly netns: string;
  readonly name: string;
  readonly mtuBytes: number;
  readonly gsoSegments: number;
}

/** The network below the nodes carries less than the pods' links promise, and tells nobody. */
export const mtuTooSmall: NodeFault = {
  name: 'mtu-too-small',
  kind: 'node',
  title:
    "The network between the nodes carries less than the pods' links promise, and says nothing",
  seen:
    'Connections open and small requests answer; uploads, downloads and new TLS handshakes hang ' +
    'until they time out (curl: exit 28). Nothing is logged, no ICMP comes.',
  field:
    "An overlay whose headers nobody subtracted, a cloud network of 1,460, and a firewall that drops ICMP's " +
    '"fragmentation needed".',
  refusal: ({ nodes }) =>
    nodes.length < 2 ? 'it has one node, and no network between' : undefined,
  suits: () => true,
  async prepare({ lab, at: { node } }) {
    const uplinks = lab.plan.nodes.map(({ name }) => readLink(lab, name, UPLINK));
    const port = await readLink(lab, FABRIC, portOf(lab.plan, node.name));
    return { port, uplinks: await Promise.all(uplinks) };
  },
  async apply({ lab }, saved) {
    const { port, uplinks } = saved as unknown as SavedLinks;
    // No real wire carries trains of segments (GSO) as veth links do; they would slip through.
    for (const { netns, name } of uplinks) await setLink(lab, netns, name, ['gso_max_segs', '1']);
    const mtu = String(port.mtuBytes - SHORT_BYTES);
    await setLink(lab, port.netns, port.name, ['mtu', mtu]);
  },
  async mend({ lab }, saved) {
    const { port, uplinks } = saved as unknown as SavedLinks;
    await setLink(lab, port.netns, port.name, ['mtu', String(port.mtuBytes)]);
    for (const { netns, name, gsoSegments } of uplinks) {
      await setLink(lab, netns, name, ['gso_max_segs', String(gsoSegments)]);
    }
  },
};

interface SavedLinks {
  readonly port: SavedLink;
  readonly uplinks: readonly SavedLink[];
}

/** The port of the switch that a node hangs on. */
function portOf({ links }: Plan, node: string): string {
  const link = links.find(({ a, b }) => a.netns === FABRIC && b.netns === node);
  return link?.a.name ?? '';
}

async function readLink(lab: Lab, netns: string, name: string): Promise<SavedLink> {
  const text = await inPlace(lab, netns, ['ip', '-d', '-j', 'link', 'show', 'dev', name]);
  const [link] = JSON.parse(text) as readonly { mtu: number; gso_max_segs: number }[];
  return { netns, name, mtuBytes: link?.mtu ?? 0, gsoSegments: link?.gso_max_segs ?? 0 };
}

async function setLink(
  lab: Lab,
  netns: string,
  name: string,
  values: readonly string[],
): Promise<void> {
  await inPlace(lab, netns, ['ip', 'link', 'set', 'dev', name, ...values]);
}
