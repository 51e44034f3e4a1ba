import { NFT_TABLE_PREFIX } from '../../../dataplane/redirect/nft-rule.ts';
import { renderNft } from '../../../dataplane/redirect/nft-render.ts';
import { podRules } from '../../../dataplane/redirect/pod-rules.ts';
import { runProgram } from '../../hosts/run.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle } from '../finding.ts';

const COUNTER = /counter packets \d+ bytes \d+ /;

/** Whether the lab's redirect is made of nftables' own tables. */
export function usesNft(world: ClaimWorld): boolean {
  return world.lab.plan.era === 'inpod-nft';
}

/** The rules of a place, line by line as the kernel's tool prints them, with counters. */
export async function ruleLines(world: ClaimWorld, place: string): Promise<readonly string[]> {
  const saved = await world.read(place, 'iptables-save', '-c');
  const nft = usesNft(world)
    ? elementsApart(await world.read(place, 'nft', 'list', 'ruleset'))
    : '';
  return `${saved}\n${nft}`.split('\n').map((line) => line.trim());
}

/** The same without what counts packets. */
export function withoutCounters(line: string): string {
  return line
    .replace(/^\[\d+:\d+\] /, '')
    .replace(/^(:\S+ \S+) .*$/, '$1')
    .replace(COUNTER, 'counter ');
}

/** Packets that a rule has counted, in either tool's notation. */
export function packetsOf(line: string): number {
  return Number(/^\[(\d+):|counter packets (\d+)/.exec(line)?.slice(1).find(Boolean) ?? 0);
}

/** Elements of a set stand behind each other: as ipset saves them, one a line. */
function elementsApart(text: string): string {
  return text.replaceAll(/elements = \{([^}]*)\}/g, (_all, elements: string) =>
    elements
      .split(',')
      .map((element) => `add istio-inpod-probes ${element.trim()}`)
      .join('\n'),
  );
}

/** nftables in a pod against the same tables loaded into an empty namespace of this machine. */
export async function nftRulesAreTheEras(world: ClaimWorld): Promise<Finding> {
  const { era, dnsCapture, ipFamilies = [] } = world.lab.plan;
  const { nft } = podRules({ era, dnsCapture, ipv6: ipFamilies.includes('IPv6') });
  const input = renderNft(nft ?? []);
  const load = 'nft -f - && nft -s list ruleset';
  const wanted = await runProgram(['unshare', '--net', 'sh', '-c', load], { input });
  if (wanted.exitCode !== 0) throw new EvidenceMissing(`nft in a namespace: ${wanted.stderr}`);
  const found = ours(await world.read('client', 'nft', '-s', 'list', 'ruleset'));
  const isSo = found !== '' && found === ours(wanted.stdout);
  const lines = found.split('\n');
  const text = `${lines.length} lines of nft list, the same as the era's tables in an empty namespace: ${isSo}`;
  return settle(isSo, text, { evidence: lines });
}

function ours(listing: string): string {
  const tables = listing.split(/^(?=table )/m);
  return tables
    .filter((table) => table.includes(NFT_TABLE_PREFIX))
    .join('')
    .trim();
}
