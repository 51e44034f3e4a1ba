import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import { alignLines } from '../../lab/compare/align-lines.ts';
import { openJournal } from '../../lab/mutate/journal.ts';
import { nftMutations } from '../../lab/mutate/nft-mutations.ts';
import { changesOf } from '../../lab/mutate/probes.ts';
import type { MutationResult } from '../../lab/mutate/run-mutations.ts';
import { ruleMutations } from '../../lab/mutate/rule-mutations.ts';
import { explainByTwins } from '../../lab/mutate/twins.ts';
import { renderMutations } from '../../lab/report/mutations.ts';
import { describeCount } from '../../lab/mutate/tunnel-count.ts';
import { sideBySide } from '../../lab/report/columns-text.ts';

t.test('alignLines() keeps order, and pairs what only changed', async (t) => {
  const rows = alignLines(['a', 'rule x one', 'b', 'gone'], ['a', 'rule x two', 'b', 'come', 'c']);
  t.same(
    rows.map(({ kind, left, right }) => `${kind} ${left ?? ''}/${right ?? ''}`),
    [
      'same a/a',
      'changed rule x one/rule x two',
      'same b/b',
      'left gone/',
      'right /come',
      'right /c',
    ],
  );
  t.same(alignLines([], []), []);
  t.same(alignLines(['x'], []), [{ kind: 'left', left: 'x' }]);
});

t.test('sideBySide() stays within its width', async (t) => {
  const lines = sideBySide('a long rule '.repeat(9), '|', 'x'.repeat(200), 80);
  t.ok(lines.length > 3);
  for (const line of lines) t.ok(line.length <= 80, line);
  t.match(lines[0], /^a long rule .* \| x/);
});

t.test('ruleMutations() removes each rule of Istio, and leaves each condition out', async (t) => {
  const rules = [
    '*nat',
    ':OUTPUT ACCEPT [0:0]',
    ':ISTIO_OUTPUT - [0:0]',
    '-A OUTPUT -j ISTIO_OUTPUT',
    '-A OUTPUT -j OTHERS',
    '-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001',
    'COMMIT',
    '',
  ]
    .join('\n')
    .replace(':ISTIO_OUTPUT', ':OTHERS - [0:0]\n:ISTIO_OUTPUT');
  const empty = { nft: '', policyRules: '', routes: '', sets: '', links: '', settings: '' };
  const placeOf = (place: string) => {
    return { place, role: 'pod' as const, state: { ...empty, place, rules } };
  };
  const group = { prefix: '', role: 'pod' as const, places: [placeOf('a'), placeOf('b')] };
  const found = ruleMutations(group);
  t.same(
    found.map(({ where, change }) => `${where}: ${change}`),
    [
      'nat OUTPUT 1: removed',
      'nat ISTIO_OUTPUT 1: removed',
      'nat ISTIO_OUTPUT 1: without ! -d 127.0.0.1/32',
      'nat ISTIO_OUTPUT 1: without ! --mark 0x539/0xfff',
    ],
  );
  for (const { places } of found) t.same(places, ['a', 'b'], 'in every place where it stands');
});

t.test('changesOf() tells outcome, source and way apart', async (t) => {
  const usual = { name: 'p', outcome: '200', source: '10.0.0.1', durationMs: 3 };
  const before = { ...usual, way: ['inbound at a'], tunnel: 'the SYN alone' };
  t.same(changesOf(before, { ...before }), []);
  t.match(changesOf(before, { ...before, outcome: 'curl 28 (timeout)' }), [/curl 28.*was 200/]);
  t.match(changesOf(before, { ...before, source: '10.0.0.2' }), [/10\.0\.0\.2, was 10\.0\.0\.1/]);
  t.match(changesOf(before, { ...before, way: [] }), [/past every ztunnel; was inbound at a/]);
  t.match(changesOf(before, { ...before, tunnel: 'every packet' }), [
    /carries every packet, was the SYN alone/,
  ]);
  t.same(changesOf(before, { ...before, durationMs: 900 }), [], 'slow is not broken');
});

t.test('openJournal() goes on where a run of the same kind was cut off', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ambient-lab-journal-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'sub', 'mutate.journal');
  const result = (id: string): MutationResult => ({
    ...{
      id,
      kind: 'rule',
      where: 'nat X',
      text: '-j Y',
      change: 'removed',
      places: [],
      breaks: [],
    },
  });
  const first = await openJournal(path, 'key', false);
  t.same(first.done, []);
  await first.add(result('one'));
  await first.add(result('two'));
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.slice(0, -9));
  const again = await openJournal(path, 'key', false);
  t.same(
    again.done.map(({ id }) => id),
    ['one'],
    'the line that was cut is not taken',
  );
  t.same((await openJournal(path, 'other', false)).done, [], 'nor a run of something else');
  const third = await openJournal(path, 'other', true);
  await third.finish([result('one')], join(directory, 'whole.json'));
  t.match(JSON.parse(await readFile(join(directory, 'whole.json'), 'utf8')), [{ id: 'one' }]);
});

t.test(
  'nftMutations() leaves conditions out and keeps the protocol of what redirects',
  async (t) => {
    const wanted = podRules({ era: 'inpod-nft', dnsCapture: true });
    const texts = { rules: '', nft: '', policyRules: '', routes: '', sets: '', links: '' };
    const state = { place: 'a', settings: '', ...texts };
    const group = { prefix: '', role: 'pod' as const };
    const places = [{ place: 'a', role: 'pod' as const, state, wanted }];
    const found = nftMutations({ ...group, places });
    const rules = (wanted.nft ?? []).flatMap((table) => table.rules);
    t.equal(found.filter(({ change }) => change === 'removed').length, rules.length);
    const plain = found.filter(({ text }) => text.includes('redirect to :15006'));
    t.same(
      plain.map(({ change }) => change),
      [
        'removed',
        'without ip daddr != 127.0.0.1/32',
        'without tcp dport != 15008',
        'without meta mark & 0xfff != 0x539',
      ],
    );
    const outbound = found.filter(({ text }) => text.includes('redirect to :15001'));
    t.notOk(outbound.some(({ change }) => change === 'without meta l4proto tcp'));
    t.ok(found.every(({ why }) => why !== undefined && why !== ''));
  },
);

t.test('describeCount() tells the SYN alone from every packet', async (t) => {
  const counts = new Map([
    ['10.0.0.1:5', { syn: 1, later: 0 }],
    ['10.0.0.1:6', { syn: 1, later: 9 }],
    ['10.0.0.1:7', { syn: 0, later: 1 }],
  ]);
  t.equal(describeCount(counts, ['10.0.0.1:5', undefined]), 'the SYN alone');
  t.equal(describeCount(counts, ['10.0.0.1:5', '10.0.0.1:6']), 'every packet');
  t.equal(describeCount(counts, ['10.0.0.1:7']), 'nothing', 'an ACK that went astray is none');
  t.equal(describeCount(counts, ['10.0.0.9:1']), 'nothing');
});

t.test('explainByTwins() and renderMutations() tell node from node', async (t) => {
  const result = (node: string, breaks: MutationResult['breaks']): MutationResult => ({
    ...{ id: `${node} r | removed`, kind: 'rule', change: 'removed', where: 'mangle X 1', breaks },
    ...{ text: `-s 10.244.${node.slice(-1)}.1/32 -j MARK`, places: [node] },
  });
  const broken = ['a', 'b'].map((probe) => ({ probe, title: probe, seen: ['timeout, was 200'] }));
  const [first, second] = explainByTwins([result('node1', broken), result('node2', [])]);
  t.equal(first?.reason, undefined);
  t.match(second?.reason, /in node1 it shows/);
  const set: MutationResult = { ...result('node2', []), kind: 'address-set', where: 'set' };
  t.equal(
    explainByTwins([{ ...set, text: '10.244.1.4', breaks: broken }, set])[1]?.reason,
    undefined,
  );
  const probes = broken.map(({ probe }) => ({
    name: probe,
    title: `kind ${probe}`,
    from: '',
    to: '',
  }));
  const results = [first, second].flatMap((each) => each ?? []);
  const text = renderMutations('geneve', results, { width: 100, probes, notes: ['a note'] });
  t.match(text, /2 mutations, 1 break something; 2 kinds of traffic/);
  t.match(text, /node1: a, b: timeout, was 200\n +node2: nothing seen: /, 'one rule, two places');
  t.equal(text.match(/mangle X 1: /g)?.length, 1);
  t.match(text, /\* a note/);
});
