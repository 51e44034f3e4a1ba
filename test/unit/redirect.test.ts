import { readFileSync } from 'node:fs';
import t from 'tap';
import { crossCheck } from '../../dataplane/redirect/cross-check.ts';
import { diffRules, findDrift, placedRules } from '../../dataplane/redirect/diff.ts';
import type { Era } from '../../dataplane/redirect/era.ts';
import { EraNotBuildableError, SavedRulesError } from '../../dataplane/redirect/errors.ts';
import { hostRules } from '../../dataplane/redirect/host-rules.ts';
import { normaliseRule } from '../../dataplane/redirect/normalise.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import type { PodRulesOptions } from '../../dataplane/redirect/pod-rules.ts';
import { renderCommands, renderRestore } from '../../dataplane/redirect/render.ts';
import { ipArguments } from '../../dataplane/redirect/routing.ts';
import type { FamilyRules, RuleSet } from '../../dataplane/redirect/rule.ts';
import { renderSaved } from '../../dataplane/redirect/saved.ts';
import { walkRules } from '../../dataplane/redirect/walk.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/redirect/${name}`, import.meta.url), 'utf8');

const PROBE_IPV6 = 'e9ac:1e77:90ca:399f:4d6d:ece2:2f9b:3164';

function redirectRules(options: Partial<PodRulesOptions> = {}): RuleSet {
  return podRules({ era: 'inpod-redirect', dnsCapture: true, ...options });
}

function family(rules: RuleSet, index = 0): FamilyRules {
  const found = rules.families[index];
  if (found === undefined) throw new Error(`family ${index} is missing`);
  return found;
}

/** Lines of `iptables-save`, as the kernel would print an enrolled pod. */
const SAVED = fixture('default.save.txt');

t.test('renderRestore() writes the goldens to the byte', (t) => {
  const cases: readonly [string, Partial<PodRulesOptions>][] = [
    ['default.txt', {}],
    ['dns-pod-disabled-and-on-globally.txt', { dnsCapture: false }],
    ['ingress.txt', { dnsCapture: false, bypassInbound: true }],
    [
      'virtual-interfaces.txt',
      { dnsCapture: false, virtualInterfaces: ['fake1s0f0', 'fake1s0f1'] },
    ],
  ];
  for (const [file, options] of cases) {
    const ipv4 = fixture(file);
    t.equal(renderRestore(family(redirectRules(options))), ipv4, file);
    const both = redirectRules({ ...options, ipv6: true, probeAddressIpv6: PROBE_IPV6 });
    const ipv6 = ipv4.replaceAll('127.0.0.1/32', '::1/128').replaceAll('169.254.7.127', PROBE_IPV6);
    t.equal(renderRestore(family(both, 1)), ipv6, `${file}, IPv6`);
    t.equal(renderRestore(family(both)), ipv4, `${file}, IPv4 beside IPv6`);
  }
  const without = redirectRules({ dnsCapture: false });
  t.not(renderRestore(family(without)), fixture('default.txt'), 'another set is another text');
  t.end();
});

t.test('renderCommands() writes the listing of 1.21, chain by chain in its order', (t) => {
  const listing = fixture('inpod-1.21.txt').trimEnd().split('\n');
  const rules = podRules({ era: 'inpod-tproxy', dnsCapture: true });
  const commands = renderCommands({ ...rules, routing: [] });
  t.same([...commands].sort(), [...listing].sort(), 'the same commands');
  for (const chain of ['-t mangle -A ISTIO_PRERT', '-t nat -A ISTIO_OUTPUT']) {
    const only = (lines: readonly string[]) => lines.filter((line) => line.includes(chain));
    t.same(only(commands), only(listing), `${chain} in the order of the listing`);
  }
  const silent = renderCommands(podRules({ era: 'inpod-tproxy', dnsCapture: false }));
  t.notMatch(silent.join('\n'), /--dport 53\b/, 'without DNS capture nothing mentions it');
  const late = podRules({ era: 'inpod-tproxy', dnsCapture: true, tproxyRelease: '1.24' });
  t.match(renderRestore(family(late)), /--sport 53 -j CT --zone 1/, 'release 1.24 has zones');
  t.end();
});

t.test('podRules() gives each rule a reason and the policy routing of the field', (t) => {
  for (const era of ['inpod-redirect', 'inpod-tproxy'] as const) {
    const rules = podRules({ era, dnsCapture: true, ipv6: true });
    for (const rule of rules.families.flatMap((each) => each.rules)) {
      t.match(rule.why, /^\S.{20,}[.]$/s, `${era} ${rule.chain}: ${rule.why}`);
    }
    t.same(
      rules.routing.map((entry) => ipArguments(entry, 'add').join(' ')),
      [
        '-4 rule add fwmark 0x111/0xfff pref 32764 lookup 100',
        '-4 route add local 0.0.0.0/0 dev lo table 100',
        '-6 rule add fwmark 0x111/0xfff pref 32764 lookup 100',
        '-6 route add local ::/0 dev lo table 100',
      ],
    );
  }
  t.end();
});

t.test('podRules() refuses what it cannot build', (t) => {
  const era = 'geneve';
  t.throws(() => hostRules({ era }), { code: 'DATAPLANE_REDIRECT_ERA_NOT_BUILDABLE', era });
  const bad: readonly Partial<PodRulesOptions>[] = [
    { virtualInterfaces: ['eth0 -j DROP'] },
    { virtualInterfaces: ['x\nCOMMIT'] },
    { virtualInterfaces: ['-j'] },
    { virtualInterfaces: ['sixteencharacter'] },
    { probeAddress: 'nonsense' },
    { probeAddress: '::1' },
    { era: 'inpod-tproxy', bypassInbound: true },
    { era: 'inpod-tproxy', virtualInterfaces: ['tap0'] },
  ];
  for (const options of bad) {
    t.throws(() => redirectRules(options), { code: 'DATAPLANE_REDIRECT_OPTIONS' });
  }
  t.throws(() => redirectRules({ era: 'unheard-of' as Era }), EraNotBuildableError);
  t.doesNotThrow(() => redirectRules({ virtualInterfaces: ['tap0', 'br-lan.12', 'eth0@if3'] }));
  t.end();
});

t.test('hostRules() follows the releases', (t) => {
  t.equal(renderRestore(family(hostRules({ era: 'inpod-redirect' }))), fixture('hostprobe.txt'));
  const both = hostRules({ era: 'inpod-redirect', ipv6: true });
  t.match(renderRestore(family(both, 1)), /--match-set istio-inpod-probes-v6 dst -j SNAT .*fd16:/);
  t.same(
    both.sets.map((set) => set.name),
    ['istio-inpod-probes-v4', 'istio-inpod-probes-v6'],
  );
  const early = renderRestore(family(hostRules({ era: 'inpod-tproxy', release: '1.21' })));
  t.match(early, /-A POSTROUTING -j ISTIO_POSTRT/);
  t.match(early, /--match-set istio-inpod-probes dst/);
  t.match(renderRestore(family(hostRules({ era: 'inpod-tproxy' }))), /istio-inpod-probes-v4 dst/);
  t.throws(() => hostRules({ era: 'inpod-tproxy', release: '1.21', ipv6: true }), {
    code: 'DATAPLANE_REDIRECT_OPTIONS',
  });
  t.end();
});

t.test('parseSave() loses nothing', (t) => {
  t.equal(renderSaved(parseSave(SAVED)), SAVED);
  const text = [
    '# Generated by iptables-save',
    '*filter',
    ':INPUT ACCEPT [0:0]',
    ':OUTPUT DROP [18446744073709551615:1]',
    ':KUBE_X-1 - [0:0]',
    '[12:3456] -A INPUT -s 10.0.0.0/8 ! -i eth+ -p tcp -m tcp ! --tcp-flags SYN,RST SYN -m mark ! --mark 0x1/0xff -j KUBE_X-1',
    '[0:0] -A KUBE_X-1 -m comment --comment -j -j MARK --set-xmark 0x5/0xffffffff',
    '[0:0] -A KUBE_X-1 -m comment --comment "a \\"b\\\\ .c * ! -j" -m set ! --match-set foo src,dst -g KUBE_X-1',
    '-A OUTPUT -m comment --comment "" -j LOG --log-prefix "-x "',
    'COMMIT',
    '',
    '# Completed',
    '',
  ].join('\n');
  const saved = parseSave(text);
  t.equal(renderSaved(saved), text);
  const [input, first, second] = saved.tables[0]?.rules ?? [];
  t.same(input?.counters, { packets: 12n, bytes: 3456n });
  t.equal(input?.line, 6);
  t.same(
    input?.options.filter((option) => option.negated).map((option) => option.flag),
    ['-i', '--tcp-flags', '--mark'],
  );
  t.same(
    input?.options.filter((option) => option.flag === '-m').map((option) => option.values[0]),
    ['tcp', 'mark'],
  );
  t.same(
    first?.options[1],
    { flag: '--comment', values: ['-j'] },
    'a comment may look like an option',
  );
  t.same(second?.options[1]?.values, ['a "b\\ .c * ! -j']);
  t.equal(saved.tables[0]?.chains[2]?.policy, undefined);
  t.end();
});

t.test('parseSave() points at what is wrong', (t) => {
  const table = (...lines: string[]): string =>
    ['*nat', ':OUTPUT ACCEPT [0:0]', ...lines].join('\n');
  const cases: readonly [string, number, number, RegExp][] = [
    ['hello', 1, 1, /no line of/],
    ['COMMIT', 1, 1, /no table is open/],
    [':OUTPUT ACCEPT [0:0]', 1, 1, /no table is open/],
    ['-A OUTPUT -j ACCEPT', 1, 1, /no table is open/],
    ['*', 1, 2, /no name of a table/],
    ['*nat\n*raw', 2, 1, /no COMMIT yet/],
    [table('-A OUTPUT -j ACCEPT'), 3, 1, /no COMMIT: the text is cut off/],
    [table('COMMIT', '*nat'), 4, 2, /stands here again/],
    [table(':OUTPUT ACCEPT'), 3, 2, /stands here again/],
    [table(':FOO accept [0:0]'), 3, 6, /no policy/],
    [table(':FOO - [0]'), 3, 8, /not \[packets:bytes\]/],
    [table(':FOO'), 3, 1, /chain, policy and counters/],
    [table('[1:99999999999999999999] -A OUTPUT -j ACCEPT'), 3, 1, /not \[packets:bytes\]/],
    [table('-I OUTPUT 1 -j ACCEPT'), 3, 1, /only -A/],
    [table('-A'), 3, 3, /not declared/],
    [table('-A MISSING -j ACCEPT'), 3, 4, /"MISSING" was not declared/],
    [table('-A OUTPUT ACCEPT'), 3, 11, /an option is wished, not "ACCEPT"/],
    [table('-A OUTPUT -p tcp !'), 3, 18, /an option is wished, not "!"/],
    [table('-A OUTPUT ! ! -p tcp'), 3, 13, /an option is wished, not "!"/],
    [table('-A OUTPUT -m comment --comment'), 3, 22, /has no value/],
    [table('-A OUTPUT --comment "open'), 3, 21, /never closed/],
    [table('-A OUTPUT --comment "a"b'), 3, 24, /a word goes on/],
    [table('-A OUTPUT --comment a"b"'), 3, 22, /a quote inside a word/],
    [`*nat\n:${'x'.repeat(70_000)} - [0:0]`, 2, 65_536, /goes on and on/],
  ];
  for (const [text, line, column, reason] of cases) {
    const error = t.throws(() => parseSave(text), SavedRulesError) as SavedRulesError;
    t.match([error.line, error.column, error.reason], [line, column, reason], text.slice(0, 60));
  }
  t.same(parseSave('').tables, [], 'nothing at all is no rules, as on a fresh kernel');
  t.end();
});

t.test('parseSave() meets damaged text with typed errors only', (t) => {
  let refused = 0;
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let round = 0; round < 3000; round += 1) {
    const at = random(SAVED.length);
    const junk = ['"', '!', '\n', '[', '-', '\\', '*', ':', '\0', '\u{1f600}'][random(10)] ?? '';
    const text = SAVED.slice(0, at) + junk + SAVED.slice(at + random(4));
    try {
      const saved = parseSave(text);
      renderSaved(saved);
      walkRules(saved, 'inbound', { family: 'ipv4' });
      findDrift(family(redirectRules()), saved);
    } catch (error) {
      if (!(error instanceof SavedRulesError)) throw error;
      refused += 1;
    }
  }
  t.ok(refused > 500, `${refused} of 3000 refused`);
  t.ok(refused < 3000, 'and not all');
  t.end();
});

t.test('parseSave(), renderSaved() and walkRules() take linear time', (t) => {
  const count = 120_000;
  const blank = '\n'.repeat(count);
  const startMs = performance.now();
  t.equal(renderSaved(parseSave(blank)), blank, 'blank lines');
  const chains = Array.from({ length: count / 4 }, (_, index) => `KUBE-SVC-${index}`);
  const text = [
    '*nat',
    ':PREROUTING ACCEPT [0:0]',
    ...chains.map((chain) => `:${chain} - [0:0]`),
    ...chains.map((chain) => `-A PREROUTING -j ${chain}`),
    'COMMIT\n',
  ].join('\n');
  const steps = walkRules(parseSave(text), 'inbound', { family: 'ipv4' });
  t.equal(steps.filter((step) => step.kind === 'rule').length, chains.length, 'jumps to chains');
  // Quadratic time takes far longer.
  t.ok(performance.now() - startMs < 6_000, 'in time');
  t.end();
});

t.test('normaliseRule() spells a rule as iptables-save does', (t) => {
  const cases: readonly [string, string, string?][] = [
    ['-p constructor -j __proto__', '-p constructor -j __proto__'],
    ['-s 169.254.7.127 -p tcp -m tcp -j ACCEPT', '-s 169.254.7.127/32 -p tcp -m tcp -j ACCEPT'],
    [
      '-p tcp --dport 53 -m mark ! --mark 0x539/0xfff -j RETURN',
      '-p tcp -m tcp --dport 53 -m mark ! --mark 0x539/0xfff -j RETURN',
    ],
    [
      '-p 6 -m mark --mark 5 --destination-port 9 --jump RETURN',
      '-p tcp -m mark --mark 0x5 -m tcp --dport 9 -j RETURN',
    ],
    ['! -d 127.0.0.1 -p tcp -i lo -j ACCEPT', '! -d 127.0.0.1/32 -i lo -p tcp -j ACCEPT'],
    ['--source 1.2.3.4/255.255.255.0 -j ACCEPT', '-s 1.2.3.0/24 -j ACCEPT'],
    ['-s 0.0.0.0/0 -j ACCEPT', '-j ACCEPT'],
    [
      '-p udp --dport 53 -j REDIRECT --to-port 15053',
      '-p udp -m udp --dport 53 -j REDIRECT --to-ports 15053',
    ],
    ['-j MARK --set-mark 5', '-j MARK --set-xmark 0x5/0xffffffff'],
    ['-j MARK --set-mark 0x5/0xf', '-j MARK --set-xmark 0x5/0xf'],
    ['-j MARK --and-mark 0xf', '-j MARK --set-xmark 0x0/0xfffffff0'],
    ['-j MARK --or-mark 3', '-j MARK --set-xmark 0x3/0x3'],
    [
      '-j CONNMARK --restore-mark',
      '-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff',
    ],
    [
      '-p tcp -j TPROXY --tproxy-mark 0x111/0xfff --on-port 15006',
      '-p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x111/0xfff',
    ],
    [
      '-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
      '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ],
    ['-p tcp --syn -j DROP', '-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP'],
    ['-j REJECT', '-j REJECT --reject-with icmp-port-unreachable'],
    ['! -d ::1 -s 2001:DB8:0:0::7/64 -j ACCEPT', '-s 2001:db8::/64 ! -d ::1/128 -j ACCEPT', 'ipv6'],
    ['-s ::ffff:10.0.0.1 -j ACCEPT', '-s ::ffff:10.0.0.1/128 -j ACCEPT', 'ipv6'],
  ];
  for (const [from, to, version = 'ipv4'] of cases) {
    const text = `*nat\n:X - [0:0]\n-A X ${from}\nCOMMIT`;
    const options = parseSave(text).tables[0]?.rules[0]?.options ?? [];
    t.equal(normaliseRule(options, version === 'ipv6' ? 'ipv6' : 'ipv4'), to);
    const again = parseSave(`*nat\n:X - [0:0]\n-A X ${to}\nCOMMIT`).tables[0]?.rules[0]?.options;
    t.equal(normaliseRule(again ?? [], version === 'ipv6' ? 'ipv6' : 'ipv4'), to, 'and stays');
  }
  t.end();
});

t.test('findDrift() sees every missing, extra and moved rule', (t) => {
  const wanted = family(redirectRules());
  t.equal(findDrift(wanted, parseSave(SAVED)).isClean, true);
  const lines = SAVED.split('\n');
  lines.forEach((line, index) => {
    if (!line.startsWith('-A')) return;
    const drift = findDrift(wanted, parseSave(lines.toSpliced(index, 1).join('\n')));
    t.equal(drift.isClean, false, `without ${line}`);
    t.equal(drift.missing.length, 1);
    t.ok(drift.missing[0]?.why);
  });
  const swapped = SAVED.replace(/(-A ISTIO_PRERT -s 169.*\n)(-A ISTIO_PRERT ! -d.*\n)/, '$2$1');
  t.not(swapped, SAVED);
  t.same(findDrift(wanted, parseSave(swapped)).reordered, [{ table: 'nat', chain: 'ISTIO_PRERT' }]);
  const more = SAVED.replace('-A PREROUTING -j ISTIO_PRERT\n', '$&-A PREROUTING -j ISTIO_PRERT\n');
  t.equal(findDrift(wanted, parseSave(more)).extra.length, 1, 'a jump that stands twice');
  const foreign = SAVED.replace('*nat\n', '*nat\n:CNI-X - [0:0]\n').replace(
    '-A PREROUTING -j ISTIO_PRERT\n',
    '-A PREROUTING -j ACCEPT\n$&',
  );
  t.equal(findDrift(wanted, parseSave(foreign)).isClean, true, 'rules of others do not count');
  const empty = findDrift(wanted, parseSave(''));
  t.equal(empty.hasResidue, false);
  t.equal(empty.missing.length, wanted.rules.length);
  const off = findDrift(family(redirectRules({ dnsCapture: false })), parseSave(SAVED));
  t.same(off.leftoverChains, ['raw/ISTIO_OUTPUT', 'raw/ISTIO_PRERT']);
  t.end();
});

t.test('diffRules() shows what two eras do not share', (t) => {
  const redirect = placedRules(family(redirectRules()));
  const tproxy = placedRules(family(podRules({ era: 'inpod-tproxy', dnsCapture: true })));
  const diff = diffRules(tproxy, redirect);
  t.ok(diff.missing.some((rule) => rule.text.includes('TPROXY')));
  t.ok(diff.extra.some((rule) => rule.text.includes('--to-ports 15006')));
  t.notOk(
    diff.extra.some((rule) => rule.text.includes('--to-ports 15001')),
    'shared by both',
  );
  t.same(diffRules(redirect, redirect), { missing: [], extra: [], reordered: [] });
  t.end();
});

t.test('walkRules() goes hook by hook, table by table, with reasons and counters', (t) => {
  const saved = parseSave(SAVED.replaceAll(/^-A ISTIO_PRERT -m/gm, '[7:420] $&'));
  const known = [family(redirectRules())];
  const steps = walkRules(saved, 'inbound', { family: 'ipv4', known });
  const order = [...new Set(steps.map((step) => `${step.hook} ${step.table} ${step.chain}`))];
  t.same(order, [
    'PREROUTING raw PREROUTING',
    'PREROUTING raw ISTIO_PRERT',
    'PREROUTING mangle PREROUTING',
    'PREROUTING mangle ISTIO_PRERT',
    'PREROUTING nat PREROUTING',
    'PREROUTING nat ISTIO_PRERT',
  ]);
  const rules = steps.filter((step) => step.kind === 'rule');
  t.ok(rules.length > 0 && rules.every((step) => step.why !== undefined));
  t.match(
    steps.find((step) => step.text.includes('CONNMARK')),
    { packets: 7, bytes: 420, depth: 1, ruleNumber: 1 },
  );
  const unknown = walkRules(saved, 'outbound', { family: 'ipv4' });
  t.ok(unknown.length > 8);
  t.ok(
    unknown.every((step) => step.why === undefined),
    'no reasons without our data',
  );
  const loop = parseSave(
    '*nat\n:OUTPUT DROP [0:0]\n:A - [0:0]\n-A OUTPUT -j A\n-A OUTPUT -j A\n-A A -j A\nCOMMIT\n',
  );
  t.same(
    walkRules(loop, 'outbound', { family: 'ipv4' }).map((step) => `${step.kind} ${step.text}`),
    [
      'rule -A OUTPUT -j A',
      'rule -A A -j A',
      'again A',
      'rule -A OUTPUT -j A',
      'again A',
      'policy policy DROP',
    ],
  );
  t.end();
});

t.test('crossCheck() agrees with iptables-parser, and says so when it does not', (t) => {
  t.same(crossCheck(SAVED), []);
  const counted = SAVED.replaceAll(/^-A/gm, '[5:60] -A');
  t.same(crossCheck(counted), [], 'with counters too');
  const starred = SAVED.replace('-A OUTPUT -j', '-A OUTPUT -m comment --comment "a*b" -j');
  t.not(crossCheck(starred).length, 0, 'the package cuts tables at any asterisk');
  t.end();
});
