import t, { type Test } from 'tap';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { analyseRun } from '../../lab/facts/analyse-run.ts';
import type { Path, RunFacts } from '../../lab/facts/facts.ts';
import { type Baseline, parseBaseline, renderBaseline } from '../../lab/regress/baseline.ts';
import { compareBaselines } from '../../lab/regress/compare.ts';
import { compareWithRun } from '../../lab/regress/compare-run.ts';
import { baselineOfRun } from '../../lab/regress/describe-run.ts';
import { CaptureFileError, dissectFile } from '../../lab/regress/read-capture.ts';
import { baselineOfCapture } from '../../lab/regress/describe-capture.ts';
import {
  type CellResult,
  exitCodeOfRegress,
  REGRESS_SCHEMA,
  type RegressResult,
} from '../../lab/regress/results.ts';
import { renderChanges, renderRegress } from '../../lab/report/regress.ts';
import { renderRegressJunit } from '../../lab/report/regress-junit.ts';
import type { Scenario } from '../../topologies/topology.ts';
import { readFixture } from './support/capture-library.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const TEXT = { color: false, width: 110, from: '/' } as const;

async function factsOf(run: string): Promise<RunFacts> {
  const dir = join(FIXTURES, 'runs', run);
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(dir, name), 'utf8'));
  const plan = (await read('plan.json')) as Parameters<typeof analyseRun>[0]['plan'];
  const requests = (await read('requests.json')) as RunFacts['paths'][number]['request'][];
  return analyseRun({ dir, plan, requests });
}

const scenario = (name: string): Scenario => ({
  ...{ name, before: [], expect: { status: 200 }, line: 1 },
  request: { from: 'sleep', to: '', count: 1 },
});
const SLEEP = [scenario('sleep')];

/** Facts of `sleep` alone. */
function sleepOf(facts: RunFacts): RunFacts {
  return { ...facts, paths: facts.paths.filter(({ request }) => request.name === 'sleep') };
}

function compared(known: RunFacts, found: RunFacts) {
  const { baseline } = compareWithRun(undefined, known, SLEEP, { isUpdate: true });
  return compareWithRun(baseline, found, SLEEP, { isUpdate: false });
}

function withPath(facts: RunFacts, change: (path: Path) => Path): RunFacts {
  return { ...facts, paths: facts.paths.map(change) };
}

const whole = sleepOf(await factsOf('two-nodes'));

t.test('parseBaseline() reads what renderBaseline() wrote', async (t) => {
  const baseline = baselineOfRun(whole);
  const text = renderBaseline(baseline);
  const read = parseBaseline(text, 'b.txt');
  t.equal(renderBaseline(read), text);
  const compared = compareBaselines(read, baseline);
  t.ok(compared.length > 0 && compared.every(({ kind }) => kind === 'same'));
  t.equal(renderBaseline(parseBaseline(text.replaceAll('\n', '\r\n'), 'b.txt')), text);
  const refused: Baseline = { title: 'a.yaml, era geneve', refusal: 'no IPv6', blocks: [] };
  t.same(parseBaseline(renderBaseline(refused), 'r.txt'), refused);
});

t.test('parseBaseline() names line and column of what is no baseline', async (t) => {
  const cases: readonly (readonly [text: string, message: string])[] = [
    ['', 'b.txt:1:1: the first line is no title, a baseline is wished'],
    ['title\n\n  answer: 200\n', 'b.txt:3:1: a fact without a name above it'],
    ['title\n\nname\n   answer: 200\n', 'b.txt:4:4: 3 spaces before a fact, 2 or 4 wished'],
    ['title\n\nname\n    answer: 200\n', 'b.txt:4:5: "answer" belongs to no fact above it'],
    ['title\n\nname\n  answer 200\n', 'b.txt:4:3: no "name: value"'],
    ['title\n\nname\n  a: 1\n  a: 2\n', 'b.txt:5:3: "a" stands here a second time'],
    ['title\n\nname\n\nname\n', 'b.txt:5:1: "name" stands here a second time'],
  ];
  for (const [text, message] of cases) {
    t.throws(() => parseBaseline(text, 'b.txt'), { code: 'LAB_BAD_BASELINE', message });
  }
});

t.test('compareWithRun() holds what times, ports and streams differ in for the same', async (t) => {
  const later = JSON.parse(
    JSON.stringify(whole)
      .replaceAll(/"1795\d{15}"/g, '"1800"')
      .replaceAll(/10\.244\.1\.4:\d{5}/g, '10.244.1.4:60000'),
  ) as RunFacts;
  t.match(compared(whole, later), { state: 'same', scenarios: [{ name: 'sleep', changes: [] }] });
});

t.test('compareWithRun() tells what became of a request when a rule is gone', async (t) => {
  const { state, scenarios } = compared(whole, await factsOf('redirect-removed'));
  t.equal(state, 'differs');
  const [sleep] = scenarios;
  const text = renderChanges(sleep?.changes ?? [], TEXT).join('\n');
  t.match(text, /~ leg 1: sleep -> ztunnel\(node1\), plain tcp → sleep -> ztunnel\(node2\)/);
  t.match(text, /sleep\.demo\/eth0 #\d+/, 'frames are named');
  t.match(
    text,
    /- leg 3: ztunnel\(node2\) -> httpbin, plain tcp/,
    'a leg that is gone, in one line',
  );
  t.notMatch(
    text,
    /- httpbin\.demo\/lo: loop ttl 64 marks 0x111 0x539/,
    'not its facts one by one',
  );
  t.match(text, /~ readable on: httpbin\.demo\/lo, sleep\.demo\/lo → fabric\/p-node1/);
  t.match(text, /~ passes: 8 → \d/);
});

t.test('compareWithRun() finds each single fact that changed', async (t) => {
  const [first] = whole.paths;
  const leg = first!.legs[1]!;
  const tunnel = whole.connections[leg.connection]!;
  const changeTunnel = (change: object): RunFacts => ({
    ...whole,
    connections: whole.connections.map((each) => (each === tunnel ? { ...each, ...change } : each)),
  });
  const [sighting, ...others] = tunnel.sightings;
  const hbone = (change: object): RunFacts =>
    withPath(whole, (path) => ({
      ...path,
      legs: path.legs.map((each) =>
        each.number === 2 ? { ...each, hbone: { ...each.hbone!, ...change } } : each,
      ),
    }));
  const cases: readonly (readonly [key: string, facts: RunFacts])[] = [
    ['answer', withPath(whole, (p) => ({ ...p, request: { ...p.request, status: 503 } }))],
    [
      'source',
      withPath(whole, (p) => ({ ...p, request: { ...p.request, sourceSeenByApp: '10.244.2.3' } })),
    ],
    ['hops', withPath(whole, (p) => ({ ...p, hops: 3 }))],
    ['passes', withPath(whole, (p) => ({ ...p, passes: 9 }))],
    ['leg 2 / cert', hbone({ clientIdentity: 'spiffe://cluster.local/ns/demo/sa/other' })],
    ['leg 2 / tls', hbone({ cipher: 'TLS_CHACHA20_POLY1305_SHA256' })],
    [
      'leg 2 / sleep.demo/eth0',
      changeTunnel({ sightings: [{ ...sighting!, marks: [] }, ...others] }),
    ],
    [
      'leg 2 / sleep.demo/eth0',
      changeTunnel({ sightings: [{ ...sighting!, ttl: 63 }, ...others] }),
    ],
    ['leg 2 / sleep.demo/eth0', changeTunnel({ sightings: others })],
    ['leg 2', changeTunnel({ sightings: [others[0]!, sighting!, ...others.slice(1)] })],
  ];
  for (const [key, facts] of cases) {
    const { state, scenarios } = compared(whole, facts);
    const keys = scenarios.flatMap(({ changes }) => changes.map((change) => change.key));
    t.equal(state, 'differs', key);
    t.ok(
      keys.includes(key === 'leg 2 / cert' ? 'leg 2 / client' : key),
      `${key} in ${keys.join()}`,
    );
  }
});

t.test('compareWithRun() counts no scenario as the same whose evidence is missing', async (t) => {
  const drops = { kind: 'kernel-drops', text: 'a recording without loss' } as const;
  t.match(compared(whole, { ...whole, problems: [drops] }), {
    state: 'could not run',
    scenarios: [{ state: 'could not run', needs: 'a recording without loss' }],
  });
  const unjoined = withPath(whole, (path) => ({ ...path, missing: ['no leg record'] }));
  t.match(compared(whole, unjoined), {
    state: 'could not run',
    scenarios: [{ needs: 'what joins the legs (no leg record)' }],
  });
  t.match(compared(unjoined, unjoined), { state: 'same' }, 'the baseline knows that it is missing');
  t.match(compared(unjoined, whole), { state: 'differs' });
  t.match(compared(whole, { ...whole, paths: [] }), { state: 'could not run' });
  t.match(compared(whole, { ...whole, hasMarks: false }), { state: 'could not run' });
});

t.test('compareWithRun() tells scenarios that are new and that vanished', async (t) => {
  const none = compareWithRun(undefined, whole, SLEEP, { isUpdate: false });
  t.match(none, { state: 'differs', scenarios: [{ name: 'sleep', state: 'new' }] });
  const { baseline } = compareWithRun(undefined, whole, SLEEP, { isUpdate: true });
  const [block] = baseline.blocks;
  const known = { ...baseline, blocks: [block!, { ...block!, name: 'an old one' }] };
  const found = compareWithRun(known, whole, SLEEP, { isUpdate: false });
  t.match(found, { state: 'differs', scenarios: [{ state: 'same' }, { state: 'vanished' }] });
});

t.test('compareWithRun() does not overwrite what it could not see', async (t) => {
  const { baseline } = compareWithRun(undefined, whole, SLEEP, { isUpdate: true });
  const blind = { ...whole, problems: [{ kind: 'empty-capture', text: 'packets' }] as const };
  const after = compareWithRun(baseline, blind, SLEEP, { isUpdate: true });
  t.equal(after.state, 'could not run');
  t.same(after.baseline, baseline);
});

function cell(change: Partial<CellResult>): CellResult {
  const same = { name: 'one <two>', state: 'same', changes: [], refuted: [] } as const;
  return {
    ...{ topology: 'two-nodes', era: 'inpod-redirect', state: 'same', baselineFile: '/b/x.txt' },
    ...{ hasBaseline: true, scenarios: [same], isWritten: false, durationMs: 4200, ...change },
  };
}

function result(...cells: readonly CellResult[]): RegressResult {
  return { schema: REGRESS_SCHEMA, cells, withoutScenarios: [], stray: [], isUpdate: false };
}

t.test('exitCodeOfRegress() passes nothing but what was compared and is the same', async (t) => {
  const refused = cell({ state: 'refused', scenarios: [], reason: 'no IPv6' });
  const unable = cell({ state: 'could not run', scenarios: [], reason: 'no nft' });
  const off = cell({ state: 'differs' });
  t.equal(exitCodeOfRegress(result(cell({}), refused)), 0);
  t.equal(exitCodeOfRegress(result(cell({}), unable)), 3);
  t.equal(exitCodeOfRegress(result(off, unable)), 1);
  t.equal(exitCodeOfRegress(result()), 3, 'nothing compared is no pass');
  t.equal(exitCodeOfRegress({ ...result(cell({})), stray: ['/b/old.txt'] }), 1);
  t.equal(exitCodeOfRegress({ ...result(off), isUpdate: true }), 0);
});

t.test('renderRegress() and renderRegressJunit() say what was not compared', async (t) => {
  const changes = [
    {
      kind: 'changed',
      key: 'leg 2 / tls',
      was: 'TLS 1.3',
      is: 'no TLS',
      frames: [{ file: 'a/b.pcapng', frames: [7, 9] }],
    },
  ] as const;
  const differs = { name: 'one <two>', state: 'differs', changes, refuted: ['status'] } as const;
  const all = result(
    cell({ state: 'differs', scenarios: [differs], directory: '/r/two-nodes' }),
    cell({ era: 'geneve', state: 'refused', scenarios: [], reason: 'no IPv6' }),
    cell({ era: 'inpod-nft', state: 'could not run', scenarios: [], reason: 'it lacks nft' }),
  );
  const text = renderRegress(all, TEXT);
  t.match(text, /✘ one <two>\n {5}leg 2\n {7}~ tls: TLS 1\.3 → no TLS +b #7–9/);
  t.match(text, /· two-nodes +geneve +refused by the era, as recorded/);
  t.match(text, /it lacks nft/);
  t.match(
    text,
    /0 of 1 scenario as the baseline · 1 differs · 1 refused by their era · 1 could not be built here/,
  );
  const xml = renderRegressJunit(all);
  t.match(xml, /<testsuites name="regress" tests="3" failures="1" errors="0" skipped="2">/);
  t.match(xml, /name="one &lt;two&gt;"/);
  t.match(xml, /<skipped message="it lacks nft"\/>/);
});

async function captureBlocks(t: Test, file: string) {
  const bytes = await readFixture(`captures/${file}`);
  t.ok(bytes.length > 0);
  return baselineOfCapture('capture', dissectFile(file, bytes));
}

t.test('baselineOfCapture() makes eras, plain text and refusals differ', async (t) => {
  const redirect = await captureBlocks(t, 'inpod-redirect-other-node.pcapng');
  for (const other of ['geneve-other-node', 'plaintext', 'denied', 'refused', 'snap-length']) {
    const found = await captureBlocks(t, `${other}.pcapng`);
    const kinds = new Set(compareBaselines(redirect, found).map(({ kind }) => kind));
    t.ok(kinds.has('differs') || kinds.has('vanished'), other);
  }
  t.ok(
    compareBaselines(redirect, redirect).every(({ kind }) => kind === 'same'),
    'control',
  );
});

t.test(
  'dissectFile() refuses bytes that are no capture, and half ones, saying where',
  async (t) => {
    const pcap = await readFixture('captures/plain.pcap');
    const pcapng = await readFixture('captures/denied.pcapng');
    const cases: readonly (readonly [Buffer, RegExp])[] = [
      [Buffer.from('hello, this is text'), /neither pcapng nor pcap/],
      [Buffer.alloc(0), /neither pcapng nor pcap|byte 0/],
      [pcap.subarray(0, 10), /ends before its header/],
      [pcap.subarray(0, pcap.length - 3), /at byte \d+: .*bytes into a packet/],
      [pcapng.subarray(0, pcapng.length - 5), /at byte \d+/],
    ];
    for (const [bytes, message] of cases) {
      t.throws(() => dissectFile('x', bytes), CaptureFileError);
      t.throws(() => dissectFile('x', bytes), { code: 'LAB_FILE_CAPTURE', message });
    }
    const huge = Buffer.from(pcap);
    huge.writeUInt32LE(0x7fffffff, 24 + 8);
    t.throws(() => dissectFile('x', huge), { message: /a packet of 2147483647 bytes/ });
  },
);
