import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseNft } from '../../dataplane/redirect/parse-nft.ts';
import { parseNftJson } from '../../dataplane/redirect/parse-nft-json.ts';
import { canonicalNftRule } from '../../dataplane/redirect/recognise/nft-canonical.ts';
import {
  type NftRecognition,
  recogniseNft,
} from '../../dataplane/redirect/recognise/recognise-nft.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/redirect/${name}`, import.meta.url), 'utf8');

const POD = fixture('nft-list-pod.txt');

const read = (text: string): NftRecognition => recogniseNft(parseNft(text));

t.test('recogniseNft() names pod and node with their options, in text and JSON', async (t) => {
  const pod = { kind: 'known', candidate: { set: { kind: 'pod', era: 'inpod-nft' } } };
  const cases: readonly [string, NftRecognition, object, string][] = [
    ['text', read(POD), pod, 'IPv4, on, captured'],
    ['JSON', recogniseNft(parseNftJson(fixture('nft-list-pod.json'))), pod, 'IPv4, on, captured'],
    [
      'node',
      read(fixture('nft-list-node.txt')),
      { kind: 'known', candidate: { set: { kind: 'node', era: 'inpod-nft' } } },
      'IPv4, 0',
    ],
  ];
  for (const [name, seen, wanted, options] of cases) {
    t.match(seen, wanted, name);
    t.same(seen.differences, [], `${name}: no difference`);
    t.equal(seen.options.map(({ value }) => value).join(', '), options, name);
    t.ok(seen.reasons.size > 1, `${name}: with reasons`);
  }
});

t.test('recogniseNft() finds each rule that is missing, twice, altered or foreign', async (t) => {
  const lines = POD.split('\n');
  for (const [index, line] of lines.entries()) {
    if (!/^\t\t.* (?:counter|jump) /.test(line)) continue;
    const without = read(lines.toSpliced(index, 1).join('\n'));
    t.match(without.differences, [{ kind: 'missing', why: /\w/ }], `without ${line.trim()}`);
    const twice = read(lines.toSpliced(index, 0, line).join('\n'));
    t.match(twice.differences, [{ kind: 'duplicated', line: index + 2 }], `twice ${line.trim()}`);
  }
  const altered = read(POD.replace('redirect to :15006', 'redirect to :15007'));
  t.match(altered.differences, [{ kind: 'altered', wished: /:15006$/, text: /:15007$/ }]);
  const foreign = read(
    POD.replace('\t\tmeta l4proto tcp ip saddr', '\t\tip protocol icmp drop\n$&'),
  );
  t.match(foreign.differences, [{ kind: 'foreign', text: 'ip protocol icmp drop' }]);
  const late = read(POD.replace('priority -100', 'priority 5'));
  t.match(late.differences, [{ kind: 'altered', wished: /hook output priority -100/ }]);
  const off = read(POD.replace(/table inet istio-ambient-raw[^]*/, '').replace(/.*:15053\n/g, ''));
  t.same(off.differences, []);
  t.match(off.options, [{}, { name: 'DNS capture', value: 'off' }]);
  const probe = read(POD.replaceAll('169.254.7.127', '169.254.7.9'));
  t.same(probe.differences, [], 'the probe address may be chosen');
  t.match(probe.options.at(-1), { name: 'probe address', value: '169.254.7.9' });
});

t.test('recogniseNft() tells rules of iptables, of others, and of nobody known', async (t) => {
  const shown = read(fixture('nft-list-iptables.txt'));
  t.equal(shown.kind, 'none');
  t.match(
    shown.iptables.find(({ table }) => table === 'ip nat'),
    { names: /in-pod redirect.*REDIRECT/ },
  );
  const other = read('table inet filter {\n\tchain input {\n\t\tip saddr 1.2.3.4 drop\n\t}\n}\n');
  t.match(other, { kind: 'none', others: [{ table: 'inet filter', rules: 1 }] });
  const odd = read('table inet istio-ambient-nat {\n\tchain odd {\n\t\tdrop\n\t}\n}\n');
  t.equal(odd.kind, 'unknown');
});

t.test('canonicalNftRule() gives what nft reads and what it prints one text', async (t) => {
  const pairs: readonly (readonly [string, string])[] = [
    ['mark and 0xfff == 0x539 accept', 'meta mark & 0x00000fff == 0x00000539 accept'],
    ['ct mark set ct mark & 0xfffff000 | 0x111', 'ct mark set ct mark & 0xfffff111 | 0x00000111'],
    ['oifname lo ip daddr != 127.0.0.1/32', 'oifname "lo" ip daddr != 127.0.0.1'],
    ['skuid 0 snat to 1.2.3.4', 'meta skuid "root" snat ip to 1.2.3.4'],
    ['counter accept', 'counter packets 7 bytes 420 accept'],
  ];
  for (const [a, b] of pairs) t.equal(canonicalNftRule(a), canonicalNftRule(b), b);
  t.not(canonicalNftRule('mark & 0xfff != 1'), canonicalNftRule('mark & 0xfff == 1'));
});

t.test('parseNftJson() says where a text is no JSON of nft', async (t) => {
  const json = fixture('nft-list-pod.json');
  const bad: readonly (readonly [string, number, number, RegExp])[] = [
    [json.slice(0, 2000), 1, 2001, /cut off/],
    ['{"nftables":\n [}', 2, 3, /no JSON from "}"/],
    ['{}', 1, 1, /without "nftables"/],
    ['{"nftables": [1] x}', 1, 18, /no JSON from "x}"/],
  ];
  for (const [text, line, column, reason] of bad) {
    try {
      parseNftJson(text);
      t.fail(text);
    } catch (error) {
      t.match(error, { code: 'DATAPLANE_REDIRECT_NFT_SYNTAX', line, column, reason });
    }
  }
  t.same(parseNftJson('{"nftables": [{"rule": {"chain": 1}}, {"chain": null}, 3]}').tables, []);
  const pretty = JSON.stringify(JSON.parse(json), null, 2);
  const lines = parseNftJson(pretty).tables.flatMap(({ chains }) =>
    chains.flatMap(({ rules }) => rules.map(({ line }) => line)),
  );
  for (const line of lines) t.match(pretty.split('\n')[line - 1], /\{/);
  t.equal(new Set(lines).size, lines.length);
});
