import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  createSet,
  destroySet,
  listMembers,
  removeMembers,
  upsertMembers,
} from '../../dataplane/agent/address-set.ts';
import type { ApplyOptions, ApplyStep } from '../../dataplane/agent/apply-options.ts';
import { applyRules, removeRules } from '../../dataplane/agent/apply-rules.ts';
import { detectPrograms } from '../../dataplane/agent/detect-programs.ts';
import { loadNft } from '../../dataplane/agent/nft-in-netns.ts';
import { NftPrints } from '../../dataplane/agent/nft-prints.ts';
import { programsOf } from '../../dataplane/agent/programs.ts';
import { hostRules } from '../../dataplane/redirect/host-rules.ts';
import { parseNft } from '../../dataplane/redirect/parse-nft.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import type { PodRulesOptions } from '../../dataplane/redirect/pod-rules.ts';
import type { RuleSet } from '../../dataplane/redirect/rule.ts';
import { inside, scratchNetns } from './support/scratch-netns.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

/** The addresses that probes wear in the listings of the field. */
const PROBE_IPV6 = 'e9ac:1e77:90ca:399f:4d6d:ece2:2f9b:3164';

const fixture = (name: string): readonly string[] =>
  readFileSync(new URL(`../fixtures/redirect/${name}`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
const DEFAULT = fixture('nft-default-ipv6.txt');

const listing = (netns: number): string => inside(netns, 'nft list ruleset');

function rulesFor(options: Partial<PodRulesOptions> = {}): RuleSet {
  return podRules({
    era: 'inpod-nft',
    dnsCapture: true,
    ipv6: true,
    probeAddressIpv6: PROBE_IPV6,
    ...options,
  });
}

const prints = new NftPrints();

function inPod(netns: number, steps: ApplyStep[] = []): ApplyOptions {
  return { netns, guardrails: true, prints, observe: (step) => void steps.push(step) };
}

/** The variants of the default listing, made as the facts describe them (§2.4). */
const VARIANTS: readonly [string, Partial<PodRulesOptions>, readonly string[]][] = [
  ['default for both families', {}, DEFAULT],
  [
    'IPv4 alone: no line that names IPv6',
    { ipv6: false },
    DEFAULT.filter((line) => !line.includes('ip6')),
  ],
  [
    'DNS capture off: no port 53 in nat, no table raw',
    { dnsCapture: false },
    DEFAULT.filter((line) => !/dport 53|istio-ambient-raw/.test(line)),
  ],
  [
    'ingress: nothing in istio-prerouting of nat',
    { bypassInbound: true },
    DEFAULT.filter((line) => !line.startsWith('add rule inet istio-ambient-nat istio-prerouting')),
  ],
  [
    'virtual interfaces: redirect and return come first',
    { virtualInterfaces: ['fake1s0f0', 'fake1s0f1'] },
    DEFAULT.flatMap((line) =>
      line.endsWith('prerouting jump istio-prerouting') && line.includes('-nat ')
        ? [line, ...['fake1s0f0', 'fake1s0f1'].flatMap(virtualInterfaceLines)]
        : [line],
    ),
  ],
];

function virtualInterfaceLines(name: string): readonly string[] {
  const match = `add rule inet istio-ambient-nat istio-prerouting iifname ${name} meta l4proto tcp`;
  return [`${match} counter redirect to :15001`, `${match} counter return`];
}

t.test('applyRules() gives nftables what the listings of the field give it', async (t) => {
  const texts = new Set<string>();
  for (const [name, options, lines] of VARIANTS) {
    using theirs = scratchNetns();
    using ours = scratchNetns();
    await loadNft(theirs, lines);
    t.equal(await applyRules(rulesFor(options), inPod(ours.netns)), 'applied', name);
    const text = listing(ours.netns);
    t.equal(text, listing(theirs.netns), name);
    texts.add(text);
  }
  t.equal(texts.size, VARIANTS.length, 'and each set is a text of its own');
});

t.test('applyRules() gives the node what the listing of the field gives it', async (t) => {
  using theirs = scratchNetns();
  using ours = scratchNetns();
  const rules = hostRules({
    era: 'inpod-nft',
    ipv6: true,
    snatIpv6: PROBE_IPV6,
    kubeletUid: 1000,
  });
  for (const set of rules.sets) {
    await createSet(theirs, set);
    await createSet(ours, set);
  }
  await loadNft(theirs, fixture('nft-hostprobe-ipv6.txt'));
  const steps: ApplyStep[] = [];
  const options = { ...inPod(ours.netns, steps), guardrails: false };
  t.equal(await applyRules(rules, options), 'applied');
  t.equal(await applyRules(rules, options), 'unchanged');
  t.same(steps, ['applied']);
  t.equal(listing(ours.netns), listing(theirs.netns));

  const [set] = rules.sets;
  if (set === undefined) return t.fail('there is a set');
  await upsertMembers(ours, set, [{ address: '10.0.0.1', uid: 'a' }]);
  inside(ours.netns, 'nft flush chain inet istio-ambient-nat postrouting');
  t.equal(await applyRules(rules, options), 'repaired');
  t.same(
    await listMembers(ours, set),
    [{ address: '10.0.0.1', uid: 'a' }],
    'repairing rules leaves the members of sets alone',
  );
  await removeRules(rules, options);
  await destroySet(ours, set);
  t.equal(listing(ours.netns), '', 'and nothing is left');
});

t.test('applyRules() twice is once; remove and apply leave no difference', async (t) => {
  using pod = scratchNetns();
  const rules = rulesFor();
  const routing = (): string =>
    ['rule show', 'route show table all'].map((what) => inside(pod.netns, `ip ${what}`)).join('');
  const empty = routing();
  const steps: ApplyStep[] = [];
  t.equal(await applyRules(rules, inPod(pod.netns, steps)), 'applied');
  t.same(steps, ['applied', 'routing-added']);
  const first = listing(pod.netns);
  t.match(inside(pod.netns, 'ip -6 rule show'), /^32764:\s+from all fwmark 0x111\/0xfff lookup/m);

  steps.length = 0;
  t.equal(await applyRules(rules, inPod(pod.netns, steps)), 'unchanged');
  t.same(steps, []);
  t.equal(listing(pod.netns), first);

  t.equal(await removeRules(rules, inPod(pod.netns)), true);
  t.equal(listing(pod.netns), '');
  t.equal(routing(), empty);
  t.equal(await removeRules(rules, inPod(pod.netns)), false, 'nothing left to remove');
  t.equal(await applyRules(rules, inPod(pod.netns)), 'applied');
  t.equal(listing(pod.netns), first);
});

t.test('applyRules() repairs whatever somebody did to its tables', async (t) => {
  using pod = scratchNetns();
  const rules = rulesFor();
  const options = inPod(pod.netns);
  await loadNft(options, ['add table inet mine', 'add chain inet mine a']);
  await loadNft(options, ['add rule inet mine a counter accept']);
  await applyRules(rules, options);
  const tables = (): readonly string[] =>
    listing(pod.netns)
      .split(/^(?=table )/m)
      .sort();
  const first = tables();
  const ofFirstRules = [...inside(pod.netns, 'nft -a list ruleset inet').matchAll(FIRST_RULE)];
  t.equal(ofFirstRules.length, 13, 'one rule of each chain, one of them foreign');
  const changes = [
    'delete first rule inet istio-ambient-nat istio-prerouting',
    'delete first rule inet istio-ambient-nat output',
    'delete first rule inet istio-ambient-mangle istio-output',
    'delete first rule inet istio-ambient-raw istio-prerouting',
    'insert rule inet istio-ambient-nat istio-output counter accept',
    'add rule inet istio-ambient-nat istio-output counter accept',
    'add chain inet istio-ambient-nat stray',
    'delete table inet istio-ambient-mangle',
  ];
  for (const change of changes) {
    await loadNft(options, [withHandle(pod.netns, change)]);
    t.strictNotSame(tables(), first, change);
    t.equal(await applyRules(rules, options), 'repaired', change);
    t.same(tables(), first, `repaired after: ${change}`);
  }
  inside(pod.netns, 'nft flush ruleset');
  t.equal(await applyRules(rules, options), 'applied', 'after somebody took everything');
});

/** The first line of each chain that is a rule, in a listing with handles. */
const FIRST_RULE = /^\tchain (\S+) \{.*\n(?:\t\ttype .*\n)?\t\t.* # handle (\d+)$/gm;

function withHandle(netns: number, change: string): string {
  const [, table, chain] = /^delete first rule inet (\S+) (\S+)$/.exec(change) ?? [];
  if (table === undefined) return change;
  const text = inside(netns, `nft -a list table inet ${table}`);
  const found = [...text.matchAll(FIRST_RULE)].find(([, name]) => name === chain);
  return `delete rule inet ${table} ${chain} handle ${found?.[2]}`;
}

t.test('sets of nftables do what ipsets do', async (t) => {
  using node = scratchNetns();
  for (const set of hostRules({ era: 'inpod-nft', ipv6: true }).sets) {
    const [a, b] = set.family === 'ipv4' ? ['10.0.0.1', '10.0.0.2'] : ['fd00::1', 'fd00::2'];
    await t.rejects(listMembers(node, set), { code: 'DATAPLANE_AGENT_PROGRAM' });
    await createSet(node, set);
    t.same(await listMembers(node, set), []);
    await upsertMembers(node, set, [
      { address: a, uid: 'uid-a' },
      { address: b, uid: 'uid-b' },
    ]);
    await upsertMembers(node, set, [{ address: a, uid: 'uid-new' }]);
    t.same(await listMembers(node, set), [
      { address: a, uid: 'uid-new' },
      { address: b, uid: 'uid-b' },
    ]);
    await removeMembers(node, set, [
      { address: a, uid: 'uid-a' },
      { address: b, uid: 'uid-b' },
    ]);
    t.same(await listMembers(node, set), [{ address: a, uid: 'uid-new' }], 'a successor stays');
    await createSet(node, set);
    t.same(await listMembers(node, set), [], 'a new agent starts from nothing');
    await destroySet(node, set);
    await destroySet(node, set);
  }
  t.equal(listing(node.netns), '');
});

t.test('applyRules() takes out what another era or backend left', async (t) => {
  const legacy = programsOf('legacy');
  const nft = programsOf('nft');
  const redirect = podRules({ era: 'inpod-redirect', dnsCapture: true, ipv6: true });
  const saved = (netns: number): string =>
    ['iptables-nft-save', 'iptables-legacy-save', 'ip6tables-nft-save', 'ip6tables-legacy-save']
      .map((program) => inside(netns, program))
      .join('');
  for (const programs of [nft, legacy]) {
    using pod = scratchNetns();
    await applyRules(redirect, { ...inPod(pod.netns), programs });
    t.match(saved(pod.netns), /ISTIO_OUTPUT/, 'rules of iptables are there');
    const steps: ApplyStep[] = [];
    t.equal(await applyRules(rulesFor(), inPod(pod.netns, steps)), 'repaired');
    t.same(steps, ['applied', 'leftovers-removed'], 'ours come first, then theirs go');
    t.notMatch(saved(pod.netns), /ISTIO/, `${programs.backend} is clean`);
    t.equal(await applyRules(rulesFor(), inPod(pod.netns)), 'unchanged');

    t.equal(await applyRules(redirect, { ...inPod(pod.netns), programs }), 'repaired');
    t.notMatch(listing(pod.netns), /istio-ambient/, 'and the way back');
    const other = programs === nft ? legacy : nft;
    t.equal(await applyRules(redirect, { ...inPod(pod.netns), programs: other }), 'repaired');
    t.notMatch(inside(pod.netns, `iptables-${programs.backend}-save`), /ISTIO/);
    t.match(inside(pod.netns, `iptables-${other.backend}-save`), /ISTIO/);
    t.equal(await removeRules(redirect, { ...inPod(pod.netns), programs: other }), true);
    t.notMatch(saved(pod.netns), /ISTIO/);
  }
});

t.test('detectPrograms() takes legacy where legacy has rules, else nft', async (t) => {
  using node = scratchNetns();
  const backend = async () => (await detectPrograms(node)).backend;
  t.equal(await backend(), 'nft');
  t.equal(inside(node.netns, 'cat /proc/net/ip_tables_names'), '', 'looking makes no tables');
  inside(node.netns, 'iptables-legacy -t nat -L');
  t.equal(await backend(), 'nft', 'empty tables are no rules');
  inside(node.netns, 'iptables-legacy -t nat -A OUTPUT -j RETURN');
  t.equal(await backend(), 'legacy');
  inside(node.netns, 'iptables-nft -t nat -A OUTPUT -j RETURN');
  t.equal(await backend(), 'legacy');
  const absent = { ...programsOf('nft'), nft: '/nonexistent' };
  t.equal((await detectPrograms({ ...node, programs: absent })).nft, '/nonexistent');
});

t.test('parseNft() reads what nft prints of a busy namespace', async (t) => {
  using node = scratchNetns();
  await applyRules(rulesFor(), inPod(node.netns));
  inside(node.netns, 'iptables-nft -t nat -A OUTPUT -p tcp -m comment --comment {} -j REDIRECT');
  await loadNft(node, [
    'add table ip6 odd { flags dormant ; comment "a } b" ; }',
    'add set ip6 odd many { type ipv6_addr ; flags interval ; }',
    'add element ip6 odd many { fd00::1-fd00::9, fd01::/64, fd02::/64, fd03::/64, fd04::/64 }',
    'add map ip6 odd ports { type inet_service : verdict ; }',
    'add chain ip6 odd c { type filter hook input priority mangle - 5 ; policy drop ; }',
    'add rule ip6 odd c tcp dport { 80, 443 } counter packets 5 bytes 7 comment "x } y"',
    'add rule ip6 odd c tcp dport vmap @ports',
  ]);
  for (const flags of ['', '-a', '-y', '-n', '-s']) {
    const text = inside(node.netns, `nft ${flags} list ruleset`.replace('  ', ' '));
    const { tables } = parseNft(text);
    const odd = tables.find((table) => table.name === 'odd');
    t.match(odd, {
      family: 'ip6',
      sets: [
        { name: 'many', kind: 'set', type: 'type ipv6_addr' },
        { name: 'ports', kind: 'map' },
      ],
      chains: [{ name: 'c', base: { hook: 'input', priority: -155, policy: 'drop' } }],
    });
    const [first] = odd?.chains[0]?.rules ?? [];
    t.match(first?.normal, /^tcp dport \{ .* \} counter comment "x } y"$/, flags);
    t.same(first?.counters, flags === '-s' ? undefined : { packets: 5n, bytes: 7n });
    t.equal(tables.find((table) => table.family === 'ip')?.chains[0]?.rules.length, 1);
  }
});
