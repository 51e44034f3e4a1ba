import type { Lab } from '../world/lab.ts';
import { inPlace } from '../world/in-place.ts';

/** How many TCP packets of one sender went into the tunnels of era geneve, towards ztunnel. */
export interface TunnelCount {
  readonly syn: number;
  readonly later: number;
}

/** Counts by `address:port` of the sender, of all nodes together. */
export type TunnelCounts = ReadonlyMap<string, TunnelCount>;

const TABLE = 'inet lab-tunnel-count';
const KINDS = ['syn', 'later'] as const;

/** A table of our own, which counts and decides nothing; the lab ends with the run. */
const RULES = `table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
${KINDS.map(
  (kind) =>
    `  set ${kind} { type ipv4_addr . inet_service; size 65535; flags dynamic; counter; }\n`,
).join('')}  chain leaving {
    type filter hook postrouting priority 300; policy accept;
    oifname { "istioin", "istioout" } tcp flags & (syn | ack) == syn add @syn { ip saddr . tcp sport }
    oifname { "istioin", "istioout" } tcp flags & (syn | ack) != syn add @later { ip saddr . tcp sport }
  }
}
`;

/** Counts from now on: what was counted before is forgotten. */
export async function startCounting(lab: Lab): Promise<void> {
  const nodes = lab.plan.nodes.map(({ name }) => name);
  await Promise.all(nodes.map((node) => inPlace(lab, node, ['nft', '-f', '-'], RULES)));
}

/** What was counted since. */
export async function readCounts(lab: Lab): Promise<TunnelCounts> {
  const counts = new Map<string, { syn: number; later: number }>();
  for (const { name } of lab.plan.nodes) {
    for (const kind of KINDS) {
      const argv = ['nft', 'list', 'set', ...TABLE.split(' '), kind] as const;
      const text = await inPlace(lab, name, ['nft', ...argv.slice(1)]);
      const elements = text.matchAll(/([\d.]+) \. (\d+) counter packets (\d+)/g);
      for (const [, address = '', port = '', packets = '0'] of elements) {
        const key = `${address}:${port}`;
        const before = counts.get(key) ?? { syn: 0, later: 0 };
        counts.set(key, { ...before, [kind]: before[kind] + Number(packets) });
      }
    }
  }
  return counts;
}

/**
 * Which packets took the tunnel, in words. A few later ones are not the whole connection: the last
 * ACK of a node's own probe has no socket any more, and goes astray.
 */
export function describeCount(
  counts: TunnelCounts,
  senders: readonly (string | undefined)[],
): string {
  const found = senders.flatMap((sender) => counts.get(sender ?? '') ?? []);
  if (found.some(({ later }) => later >= 3)) return 'every packet';
  return found.some(({ syn }) => syn > 0) ? 'the SYN alone' : 'nothing';
}
