import t from 'tap';
import { placedRules } from '../../dataplane/redirect/diff.ts';
import * as g from '../../dataplane/redirect/geneve-constants.ts';
import { geneveNodeRules } from '../../dataplane/redirect/geneve-node.ts';
import type { GeneveNodeOptions } from '../../dataplane/redirect/geneve-node.ts';
import { geneveZtunnelRules } from '../../dataplane/redirect/geneve-ztunnel.ts';
import { ipArguments, isListedAs } from '../../dataplane/redirect/routing.ts';
import type { RuleSet } from '../../dataplane/redirect/rule.ts';
import { scenarioInEra } from '../../topologies/era-expectations.ts';
import type { Scenario } from '../../topologies/topology.ts';

const NODE: GeneveNodeOptions = {
  hostAddress: '10.244.1.1',
  ztunnelAddress: '10.244.1.2',
  ztunnelLink: 'veth0',
  dnsCapture: false,
};

function chain(rules: RuleSet, table: string, name: string): readonly string[] {
  return placedRules(rules.families[0]!)
    .filter((rule) => rule.table === table && rule.chain === name)
    .map(({ text }) => text);
}

t.test('geneveNodeRules() has the rules of ztunnel-PREROUTING in their final order', (t) => {
  t.same(chain(geneveNodeRules(NODE), 'mangle', 'ztunnel-PREROUTING'), [
    '-i istioin -j MARK --set-xmark 0x200/0x200',
    '-i istioin -j RETURN',
    '-i istioout -j MARK --set-xmark 0x200/0x200',
    '-i istioout -j RETURN',
    '-p udp -m udp --dport 6081 -j RETURN',
    '-m connmark --mark 0x220/0x220 -j MARK --set-xmark 0x200/0x200',
    '-m mark --mark 0x200/0x200 -j RETURN',
    '! -i veth0 -m connmark --mark 0x210/0x210 -j MARK --set-xmark 0x40/0x40',
    '-m mark --mark 0x40/0x40 -j RETURN',
    '! -s 10.244.1.2/32 -i veth0 -j MARK --set-xmark 0x210/0x210',
    '-m mark --mark 0x200/0x200 -j RETURN',
    '-i veth0 -j MARK --set-xmark 0x220/0x220',
    '-p udp -j MARK --set-xmark 0x220/0x220',
    '-m mark --mark 0x200/0x200 -j RETURN',
    '-p tcp -m set --match-set ztunnel-pods-ips src -j MARK --set-xmark 0x100/0x100',
  ]);
  t.end();
});

t.test('geneveNodeRules() differs between releases where Istio did', (t) => {
  const output = (release: g.GeneveRelease): readonly string[] =>
    chain(geneveNodeRules({ ...NODE, release }), 'mangle', 'ztunnel-OUTPUT');
  const early = ['-s 10.244.1.1/32 -j MARK --set-xmark 0x220/0xffffffff'];
  t.same(output('1.18'), early);
  t.same(output('1.19'), early);
  t.same(output('1.20'), [
    '-s 10.244.1.1/32 -p tcp -m owner --socket-exists -m set --match-set ztunnel-pods-ips dst ' +
      '-j MARK --set-xmark 0x220/0xffffffff',
  ]);
  const filter = (release: g.GeneveRelease): number =>
    chain(geneveNodeRules({ ...NODE, release }), 'filter', 'ztunnel-FORWARD').length;
  t.same(g.GENEVE_RELEASES.map(filter), [0, 1, 1]);
  t.same(g.GENEVE_RELEASES.map(g.failsClosed), [false, true, true]);
  t.end();
});

t.test('geneveNodeRules() routes as the commands of Istio do', (t) => {
  const { routing } = geneveNodeRules(NODE, [{ address: '10.244.1.4', uid: 'a' }]);
  t.same(
    routing.map((entry) => ipArguments(entry, 'add').slice(1).join(' ')),
    [
      'route add 10.244.1.2/32 dev veth0 table 101',
      'route add 0.0.0.0/0 via 192.168.127.2 dev istioout table 101',
      'route add 10.244.1.2/32 dev veth0 table 102',
      'route add 0.0.0.0/0 via 10.244.1.2 dev veth0 onlink table 102',
      'route add 10.244.1.2/32 dev veth0 table 100',
      'rule add fwmark 0x200/0x200 pref 100 goto 32766',
      'rule add fwmark 0x100/0x100 pref 101 lookup 101',
      'rule add fwmark 0x40/0x40 pref 102 lookup 102',
      'rule add pref 103 lookup 100',
      'route add 10.244.1.4/32 via 192.168.126.2 dev istioin src 10.244.1.1 table 100',
    ],
  );
  const listed = ['100:	from all fwmark 0x200/0x200 goto 32766', '103:	from all lookup 100'];
  t.same(
    listed.map((line) => routing.filter((entry) => isListedAs(entry, line)).length),
    [1, 1],
  );
  t.end();
});

t.test('geneveZtunnelRules() has Istio’s rules, and owns the chains it flushes', (t) => {
  const rules = geneveZtunnelRules(NODE);
  t.same(chain(rules, 'mangle', 'PREROUTING'), [
    '-i pistioin -p tcp -m tcp --dport 15008 -j TPROXY --on-port 15008 --on-ip 127.0.0.1 --tproxy-mark 0x400/0xfff',
    '-i pistioout -p tcp -j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x400/0xfff',
    '-i pistioin -p tcp -j TPROXY --on-port 15006 --on-ip 127.0.0.1 --tproxy-mark 0x400/0xfff',
    '! -d 10.244.1.2/32 -i eth0 -p tcp -j MARK --set-xmark 0x4d3/0xfff',
  ]);
  t.same(rules.families[0]?.ownedChains, [
    { table: 'mangle', chain: 'PREROUTING' },
    { table: 'nat', chain: 'OUTPUT' },
  ]);
  t.end();
});

t.test('everything of era geneve has a reason', (t) => {
  for (const set of [geneveNodeRules({ ...NODE, dnsCapture: true }), geneveZtunnelRules(NODE)]) {
    const parts = [
      ...set.families.flatMap(({ rules }) => rules),
      ...set.routing,
      ...set.sets,
      ...(set.links ?? []),
      ...(set.sysctls ?? []),
    ];
    t.ok(parts.length > 15);
    for (const { why } of parts) t.match(why, /^.{15,}[.]$/);
  }
  t.end();
});

t.test('marks mean what their bits say', (t) => {
  const matches = (mark: number, wanted: number): boolean => (mark & wanted) === wanted;
  for (const mark of [g.SKIP_MARK, g.CONN_SKIP_MARK, g.PROXY_MARK]) {
    t.ok(matches(mark, g.SKIP_MARK));
    t.notOk(matches(mark, g.OUTBOUND_MARK));
    t.notOk(matches(mark, g.PROXY_RETURN_MARK));
  }
  t.notOk(matches(g.PROXY_MARK, g.CONN_SKIP_MARK));
  t.notOk(matches(g.CONN_SKIP_MARK, g.PROXY_MARK));
  t.end();
});

t.test('geneveNodeRules() refuses what would not be a rule', (t) => {
  const bad: readonly Partial<GeneveNodeOptions>[] = [
    { hostAddress: '::1' },
    { ztunnelAddress: 'nobody' },
    { ztunnelLink: 'a b' },
    { port: 0 },
  ];
  for (const options of bad) {
    const wished = { code: 'DATAPLANE_REDIRECT_OPTIONS' };
    t.throws(() => geneveNodeRules({ ...NODE, ...options }), wished);
  }
  t.end();
});

t.test('scenarioInEra() changes and takes away expectations in its era only', (t) => {
  const scenario: Scenario = {
    name: 'x',
    before: [],
    request: { from: 'a', to: 'udp://b:1', count: 1 },
    expect: { status: 200, source: 'a' },
    eras: { geneve: { status: null, source: 'b' } },
    line: 1,
  };
  t.same(scenarioInEra(scenario, 'geneve').expect, { source: 'b' });
  t.same(scenarioInEra(scenario, 'inpod-nft').expect, { status: 200, source: 'a' });
  t.end();
});
