import { readFileSync } from 'node:fs';
import t from 'tap';
import { geneveNodeRules } from '../../dataplane/redirect/geneve-node.ts';
import { geneveZtunnelRules } from '../../dataplane/redirect/geneve-ztunnel.ts';
import { sidecarRules } from '../../dataplane/redirect/sidecar-rules.ts';
import { renderRestore } from '../../dataplane/redirect/render.ts';
import type { FamilyRules } from '../../dataplane/redirect/rule.ts';
import { readRulesText } from '../../dataplane/redirect/recognise/read-text.ts';
import { recognise, type Recognition } from '../../dataplane/redirect/recognise/recognise.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/redirect/${name}`, import.meta.url), 'utf8');

const SAVED = fixture('default.save.txt');

function read(text: string): Recognition {
  const [first] = readRulesText(text);
  if (first === undefined) throw new Error('no family');
  return recognise(first.saved, first.family);
}

t.test('recognise() names the goldens, their options, and no difference', (t) => {
  const cases: readonly [string, string, string][] = [
    ['default.txt', 'inpod-redirect', 'on captured'],
    ['default.save.txt', 'inpod-redirect', 'on captured'],
    ['dns-pod-disabled-and-on-globally.txt', 'inpod-redirect', 'off captured'],
    ['ingress.txt', 'inpod-redirect', 'off bypassed (ingress annotation)'],
    ['virtual-interfaces.txt', 'inpod-redirect', 'off captured fake1s0f0, fake1s0f1'],
    ['hostprobe.txt', 'in-pod', ''],
  ];
  for (const [file, era, options] of cases) {
    const seen = read(fixture(file));
    t.match(seen.candidate?.set, { era }, file);
    t.equal(seen.options.map(({ value }) => value).join(' '), options, file);
    t.same(seen.differences, [], file);
    t.same(seen.deviations, [], file);
  }
  t.end();
});

t.test('recognise() finds each rule that is missing, twice, or foreign, by its line', (t) => {
  const lines = SAVED.split('\n');
  lines.forEach((line, index) => {
    if (!line.startsWith('-A')) return;
    const without = read(lines.toSpliced(index, 1).join('\n'));
    t.equal(without.differences.filter(({ kind }) => kind === 'missing').length, 1, line);
    t.ok(without.differences.find(({ kind }) => kind === 'missing')?.why);
    const twice = read(lines.toSpliced(index, 0, line).join('\n'));
    t.match(twice.differences, [{ kind: 'duplicated', line: index + 2, text: line }]);
  });
  const foreign = SAVED.replace('-A ISTIO_PRERT -s', '-A ISTIO_PRERT -p icmp -j DROP\n$&');
  t.match(read(foreign).differences, [{ kind: 'foreign', text: '-A ISTIO_PRERT -p icmp -j DROP' }]);
  const ahead = SAVED.replace(/(\*nat[^]*?)(-A OUTPUT)/, '$1-A OUTPUT -j ACCEPT\n$2');
  t.match(read(ahead).differences, [{ kind: 'ahead', table: 'nat', text: '-A OUTPUT -j ACCEPT' }]);
  t.end();
});

t.test('recognise() tells an altered rule from a value that is another throughout', (t) => {
  const one = read(SAVED.replace('--to-ports 15001', '--to-ports 15001 --random'));
  t.match(one.differences, [{ kind: 'altered', wished: /--to-ports 15001$/ }]);
  const mark = read(SAVED.replaceAll('0x539/0xfff', '0x777/0xfff'));
  t.same(mark.differences, []);
  t.match(mark.deviations, [{ parameter: { token: '0x539/0xfff' }, value: '0x777/0xfff' }]);
  const once = read(SAVED.replace('0x539/0xfff', '0x777/0xfff'));
  t.match(once.differences, [{ kind: 'altered' }], 'in one rule only it is a fault');
  t.same(once.deviations, []);
  const probe = read(SAVED.replaceAll('169.254.7.127', '169.254.7.1'));
  t.same([...probe.differences, ...probe.deviations], [], 'the probe address may be chosen');
  t.match(probe.options, [{}, {}, { name: 'probe address', value: '169.254.7.1/32' }]);
  const swapped = SAVED.replace(/(-A ISTIO_PRERT -s 169.*\n)(-A ISTIO_PRERT ! -d.*\n)/, '$2$1');
  t.match(read(swapped).differences, [{ kind: 'order', chain: 'ISTIO_PRERT' }]);
  t.end();
});

t.test('readRulesText() reads both families, and says where a text is none', (t) => {
  const ipv6 = SAVED.replaceAll('iptables-save', 'ip6tables-save')
    .replaceAll('127.0.0.1/32', '::1/128')
    .replaceAll('169.254.7.127/32', 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128');
  const both = readRulesText(SAVED + ipv6);
  t.same(
    both.map(({ family }) => family),
    ['ipv4', 'ipv6'],
  );
  for (const { family, saved } of both) {
    t.same(recognise(saved, family).differences, [], family);
  }
  const bad: readonly [string, number, RegExp][] = [
    [`${SAVED}what\n`, SAVED.split('\n').length, /no line of iptables-save/],
    ['-P INPUT ACCEPT\n', 1, /iptables -S/],
    ['', 1, /says nothing/],
    ['# x\nChain INPUT (policy ACCEPT)\n', 2, /iptables -L/],
  ];
  for (const [text, line, reason] of bad) {
    t.throws(() => readRulesText(text), { line, message: reason });
  }
  t.equal(read('*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n').kind, 'none');
  t.equal(read('*nat\n:ISTIO_ODD - [0:0]\n-A ISTIO_ODD -j DROP\nCOMMIT\n').kind, 'unknown');
  t.end();
});

t.test('recognise() knows node-level redirect and sidecars', (t) => {
  const addresses = { hostAddress: '10.244.1.1', ztunnelAddress: '10.244.1.3' };
  const node = { ...addresses, dnsCapture: false, ztunnelLink: 'veth1234' };
  const cases: readonly [string, FamilyRules | undefined, object][] = [
    ['node', geneveNodeRules(node).families[0], { kind: 'node', era: 'geneve' }],
    ['1.18', geneveNodeRules({ ...node, release: '1.18' }).families[0], { kind: 'node' }],
    ['ztunnel', geneveZtunnelRules(addresses).families[0], { kind: 'ztunnel-pod' }],
    ['basic', sidecarRules('ipv4', { isTproxy: false, dnsCapture: false }), { kind: 'sidecar' }],
    ['dns', sidecarRules('ipv4', { isTproxy: false, dnsCapture: true }), { kind: 'sidecar' }],
    ['tproxy', sidecarRules('ipv4', { isTproxy: true, dnsCapture: false }), { kind: 'sidecar' }],
  ];
  for (const [name, rules, set] of cases) {
    const seen = read(rules === undefined ? '' : renderSorted(rules));
    t.match(seen.candidate?.set, set, name);
    t.same(seen.differences, [], name);
    t.same(seen.deviations, [], name);
  }
  t.end();
});

/** Text of a restore file, chains of any name declared. */
function renderSorted(rules: FamilyRules): string {
  const tables = [...new Set(rules.rules.map(({ table }) => table))];
  return tables
    .map((table) => {
      const own = rules.rules.filter((rule) => rule.table === table);
      const only = renderRestore({ family: rules.family, rules: own });
      const names = own.flatMap(({ chain, target }) => [chain, target.name]);
      const chains = [...new Set(names)].filter((name) => /^(?:ztunnel-|ISTIO_)/.test(name));
      const lines = only
        .split('\n')
        .filter((line) => line.startsWith('-A') || line.startsWith('-I'));
      return [`*${table}`, ...chains.map((name) => `-N ${name}`), ...lines, 'COMMIT', ''].join(
        '\n',
      );
    })
    .join('');
}
