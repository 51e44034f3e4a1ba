import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';
import { addressOf, statusFrom } from './ask.ts';

const PROXY_CONNMARK = 0x210;
const IN_TUNNEL = ['192.168.126.1', '192.168.126.2'] as const;
const OUT_TUNNEL = ['192.168.127.1', '192.168.127.2'] as const;

function nodeOf(world: ClaimWorld, name: string) {
  const node = world.lab.plan.nodes.find((one) => one.name === name);
  if (node === undefined) throw new EvidenceMissing(`a node "${name}"`);
  return node;
}

/** conntrack of the node: a captured connection has 0x210, one that nobody captured has not. */
export async function connmarkOfRedirect(world: ClaimWorld): Promise<Finding> {
  await statusFrom(world, 'client', 'far');
  await statusFrom(world, 'bystander', 'stranger');
  const entries = (await world.read('node1', 'conntrack', '-L', '-p', 'tcp')).split('\n');
  const between = (from: string, to: string) =>
    entries.filter((line) =>
      line.includes(`src=${addressOf(world, from)} dst=${addressOf(world, to)} `),
    );
  const own = between('client', 'far').filter((line) => line.includes('dport=8080'));
  const control = between('bystander', 'stranger');
  const marksOf = (lines: readonly string[]) => [
    ...new Set(lines.map((line) => Number(/ mark=(\d+)/.exec(line)?.[1] ?? 0))),
  ];
  const [seen, other] = [marksOf(own), marksOf(control)];
  if (control.length === 0) throw new EvidenceMissing('an entry of an uncaptured connection');
  const text = `captured: ${own.length} entries, mark ${seen.map(hex).join(' ')}; not captured: ${control.length}, mark ${other.map(hex).join(' ')}`;
  const isSo = seen.join() === String(PROXY_CONNMARK) && !other.includes(PROXY_CONNMARK);
  return settle(isSo, text, { evidence: [own[0] ?? '', control[0] ?? ''] });
}

const hex = (mark: number) => `0x${mark.toString(16)}`;

/** What the node's kernel answers when asked for a way, with each mark and with none. */
export async function marksChooseTables(world: ClaimWorld): Promise<Finding> {
  const node = nodeOf(world, 'node1');
  const own = addressOf(world, 'client');
  const other = addressOf(world, 'stranger');
  const listed = (await world.read('node1', 'ip', 'rule', 'show')).trim().split('\n');
  const rules = listed.filter((line) => /^10\d:/.test(line));
  const ways: readonly (readonly [string, string, string])[] = [
    ['0x200', own, 'v-client'],
    ['0x210', own, 'v-client'],
    ['0x100', other, 'istioout'],
    ['0x40', own, 'v-ztunnel'],
    ['0x0', own, 'istioin'],
    ['0x0', other, 'eth0'],
  ];
  const asked: string[] = [];
  let isSo = rules.length === 4;
  for (const [mark, to, link] of ways) {
    const answer = await world.read('node1', 'ip', 'route', 'get', to, 'mark', mark);
    const way = answer.split('\n')[0]?.trim() ?? '';
    isSo &&= way.includes(` dev ${link} `);
    asked.push(`mark ${mark} to ${to}: ${way}`);
  }
  const text = `${rules.length} rules of ${node.name}; with 0x200 and 0x210 to the pod, 0x100 into istioout, 0x40 to ztunnel, unmarked to istioin for an enrolled pod and to main for others: ${isSo}`;
  return settle(isSo, text, { evidence: [...rules, ...asked] });
}

/** The same tunnel addresses on both nodes, at once, and traffic between the two. */
export async function tunnelsAreNodeLocal(world: ClaimWorld): Promise<Finding> {
  const found: string[] = [];
  const places = ['node1', 'node2', 'ztunnel/node1', 'ztunnel/node2'];
  for (const place of places) {
    const text = await world.read(place, 'ip', '-o', '-4', 'addr', 'show');
    const lines = text.split('\n').filter((line) => /192\.168\.12[67]\./.test(line));
    found.push(...lines.map((line) => `${place}: ${line.trim().replaceAll(/\s+/g, ' ')}`));
  }
  const everywhere = [...IN_TUNNEL, ...OUT_TUNNEL].map(
    (address) => found.filter((line) => line.includes(` ${address}/30 `)).length,
  );
  const onFabric = world.facts.connections
    .flatMap(({ sightings }) => sightings)
    .filter(({ netns, tunnel }) => netns === 'fabric' && tunnel !== undefined);
  const seen = await statusFrom(world, 'client', 'far');
  const isSo = everywhere.every((n) => n === 2) && onFabric.length === 0 && seen === '200';
  const text = `each of the four addresses is on ${everywhere.join(', ')} nodes; between the nodes: ${seen}, ${onFabric.length} connections in Geneve on the fabric`;
  return settle(isSo, text, { evidence: found });
}

interface Directions {
  readonly outbound: string;
  readonly inbound: string;
}

/** From a captured pod to one outside the mesh, and the other way round; both on node1's rules. */
async function bothWays(world: ClaimWorld): Promise<Directions> {
  const outbound = await statusFrom(world, 'client', 'stranger');
  return { outbound, inbound: await statusFrom(world, 'stranger', 'client') };
}

/** What is left of both ways while something is changed; it is mended however this ends. */
async function during(
  world: ClaimWorld,
  place: string,
  change: readonly string[],
  mend: readonly string[],
): Promise<Directions> {
  await world.read(place, ...change);
  try {
    return await bothWays(world);
  } finally {
    await world.read(place, ...mend);
  }
}

const both = ({ outbound, inbound }: Directions) => `outbound ${outbound}, inbound ${inbound}`;
const works = ({ outbound, inbound }: Directions) => outbound === '200' && inbound === '200';

/** Strict filtering on the node, then in ztunnel's namespace: each stops everything captured. */
export async function needsNoRpFilter(world: ClaimWorld): Promise<Finding> {
  const parts: Finding[] = [];
  const before = await bothWays(world);
  parts.push(settle(works(before), `with 0: ${both(before)}`));
  for (const place of ['node1', 'ztunnel/node1']) {
    const key = 'net.ipv4.conf.all.rp_filter';
    const was = (await world.read(place, 'sysctl', '-n', key)).trim();
    const set = (value: string) => ['sysctl', '-q', '-w', `${key}=${value}`];
    const seen = await during(world, place, set('1'), set(was));
    const isDead = seen.outbound !== '200' && seen.inbound !== '200';
    const text = `all.rp_filter ${was} → 1 in ${place}: ${both(seen)}`;
    parts.push(settle(was === '0' && isDead, text, { evidence: [text] }));
  }
  const after = await bothWays(world);
  return together(...parts, settle(works(after), `with 0 again: ${both(after)}`));
}

/** Without the way to ztunnel in table 101 outbound is dead, and inbound goes on. */
export async function table101NeedsHostRoute(world: ClaimWorld): Promise<Finding> {
  const { ztunnelAddress } = nodeOf(world, 'node1');
  const route = [ztunnelAddress, 'dev', 'v-ztunnel', 'scope', 'link', 'table', '101'];
  const listed = await world.read('node1', 'ip', 'route', 'show', 'table', '101');
  const before = await bothWays(world);
  const without = await during(
    world,
    'node1',
    ['ip', 'route', 'del', ...route],
    ['ip', 'route', 'add', ...route],
  );
  const after = await bothWays(world);
  const isSo =
    works(before) && without.outbound !== '200' && without.inbound === '200' && works(after);
  const text = `with it: ${both(before)}; without: ${both(without)}; with it again: ${both(after)}`;
  return settle(isSo, text, { evidence: listed.trim().split('\n') });
}
