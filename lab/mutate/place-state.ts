import { NFT_TABLE_PREFIX } from '../../dataplane/redirect/nft-rule.ts';
import { inPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';

/** All of one namespace that a mutation may touch, as text that its own tools take back. */
export interface PlaceState {
  readonly place: string;
  /** `iptables-save`, without comments and counters. */
  readonly rules: string;
  /** Tables of the redirect in `nft -s list ruleset`; empty where there are none. */
  readonly nft: string;
  readonly policyRules: string;
  readonly routes: string;
  /** `ipset save`; empty where there is no set. */
  readonly sets: string;
  /** Tunnels with VNI, port and address, a line each. */
  readonly links: string;
  /** Kernel settings that mutations turn round, a line each. */
  readonly settings: string;
}

const SETTINGS =
  'cd /proc/sys/net/ipv4 && grep -H . ip_forward ip_nonlocal_bind tcp_fwmark_accept ' +
  'fwmark_reflect conf/*/rp_filter conf/*/accept_local conf/*/route_localnet ' +
  'conf/*/src_valid_mark conf/*/arp_ignore conf/*/forwarding';

/** One shell for what needs no program of its own: a place is read before and after each mutation. */
const READ = [
  ['rules', 'iptables-save'],
  ['nft', 'nft -s list ruleset 2>/dev/null || true'],
  ['policyRules', 'ip rule show'],
  ['routes', 'ip route show table all'],
  ['sets', 'ipset save'],
  ['links', 'ip -d -o address show && ip -d -o link show'],
  ['settings', SETTINGS],
] as const;
const BOUNDARY = '=== next ===';

/** Reads a place from the kernel. @throws LabError LAB_PROGRAM_FAILED */
export async function readPlace(lab: Lab, place: string): Promise<PlaceState> {
  const script = READ.map(([, command]) => `(${command})`).join(` && echo '${BOUNDARY}' && `);
  const printed = await inPlace(lab, place, ['sh', '-c', script]);
  const texts = printed.split(`${BOUNDARY}\n`);
  const of = (name: (typeof READ)[number][0]): string =>
    texts[READ.findIndex(([each]) => each === name)] ?? '';
  return {
    place,
    rules: withoutCounters(of('rules')),
    nft: ourNft(of('nft')),
    policyRules: of('policyRules'),
    // Neighbours decide about some flags, and the order of tables is the kernel's.
    routes: sortedLines(of('routes').replaceAll(/ (?:dead|linkdown)\b/g, '')),
    // The seed of the hash is new with each set.
    sets: sortedLines(of('sets').replaceAll(/ (?:initval|hashsize) \w+/g, '')),
    links: tunnelLines(of('links')),
    settings: of('settings'),
  };
}

/** What differs between a place as it was and as it is; empty when nothing does. */
export function differencesOf(before: PlaceState, after: PlaceState): readonly string[] {
  return READ.flatMap(([part]) => {
    if (before[part] === after[part]) return [];
    const [was, is] = [before[part], after[part]].map((text) => sortedLines(text).split('\n'));
    const gone = (was ?? []).filter((line) => is?.includes(line) !== true);
    const come = (is ?? []).filter((line) => was?.includes(line) !== true);
    const lines = [...gone.map((line) => `- ${line}`), ...come.map((line) => `+ ${line}`)];
    return [`${before.place}: ${part} (${lines.slice(0, 4).join('; ') || 'their order'})`];
  });
}

function withoutCounters(text: string): string {
  return `${text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ' [0:0]'))
    .join('\n')}\n`;
}

function sortedLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '')
    .sort()
    .join('\n');
}

/** Tables that the redirect of era inpod-nft owns; elements of sets stand in no order. */
function ourNft(text: string): string {
  return text
    .split(/^(?=table )/m)
    .filter((table) => table.startsWith(`table inet ${NFT_TABLE_PREFIX}`))
    .map((table) =>
      table.replaceAll(/elements = \{([^}]*)\}/g, (_, inside: string) => {
        const elements = inside.split(',').map((element) => element.trim().replaceAll(/\s+/g, ' '));
        return `elements = { ${elements.sort().join(', ')} }`;
      }),
    )
    .join('');
}

/** Indices and addresses of Ethernet are new after a device was made anew, and mean nothing. */
function tunnelLines(text: string): string {
  const lines = text.split('\n').flatMap((line) => {
    const address = /^\d+: (p?istio(?:in|out))\s+inet (\S+)/.exec(line);
    if (address !== null) return [`${address[1]} ${address[2]}`];
    const link = /^\d+: (p?istio(?:in|out)): <([^>]*)> mtu (\d+)/.exec(line);
    const data = / (geneve|vxlan) id (\d+) remote (\S+)/.exec(line);
    const port = /dstport (\d+)/.exec(line)?.[1];
    if (link === null || data === null) return [];
    const state = link[2]?.split(',').includes('UP') ? 'up' : 'down';
    const [, kind, vni, remote] = data;
    return [`${link[1]} ${kind} ${vni} ${remote} ${port} ${state} mtu ${link[3]}`];
  });
  return lines.sort().join('\n');
}
