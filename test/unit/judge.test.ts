import { execFileSync, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import type { Recording } from '../../lab/capture/layout.ts';
import { encodePacket, encodePcapngHead } from '../../lab/capture/pcapng-write.ts';
import { PcapngReader } from '../../lab/capture/pcapng-read.ts';
import { analyseRun } from '../../lab/facts/analyse-run.ts';
import { embedSecrets } from '../../lab/facts/embed-secrets.ts';
import type { Path, RunFacts } from '../../lab/facts/facts.ts';
import { writeStory } from '../../lab/facts/story.ts';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import { renderBaseline } from '../../lab/regress/baseline.ts';
import { baselineOfRun } from '../../lab/regress/describe-run.ts';
import { proveMtls } from '../../lab/judge/prove-mtls.ts';
import {
  exitCodeOf,
  VERDICT_SCHEMA,
  worstOutcome,
  type Outcome,
  type ScenarioVerdict,
} from '../../lab/judge/verdict.ts';
import { renderJunit } from '../../lab/report/junit.ts';
import { renderLadder } from '../../lab/report/ladder.ts';
import { renderMermaid } from '../../lab/report/mermaid.ts';
import { renderSummary } from '../../lab/report/summary.ts';
import type { Expectations, Scenario } from '../../topologies/topology.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const PLAIN_TEXT = { color: false, width: 110 } as const;

type Run = 'two-nodes' | 'redirect-removed' | 'mutated-rule' | 'without-tls';

interface Loaded {
  readonly dir: string;
  readonly plan: Parameters<typeof analyseRun>[0]['plan'];
  readonly facts: RunFacts;
}

/** Facts of a recorded run, after something was done to its evidence. */
async function load(run: Run, spoil: (dir: string) => Promise<unknown> = async () => {}) {
  const dir = await mkdtemp(join(tmpdir(), 'ambient-lab-judge-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await cp(join(FIXTURES, 'runs', run), dir, { recursive: true });
  await spoil(dir);
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(dir, name), 'utf8'));
  const plan = (await read('plan.json')) as Loaded['plan'];
  const requests = (await read('requests.json')) as RunFacts['paths'][number]['request'][];
  return { dir, plan, facts: await analyseRun({ dir, plan, requests }) } satisfies Loaded;
}

function scenario(name: string, expect: Expectations, count = 1): Scenario {
  return { name, before: [], request: { from: 'sleep', to: '', count }, expect, line: 1 };
}

/** Everything that holds for `sleep` when nothing is wrong. */
const ALL = {
  status: 200,
  outcome: 'ok',
  source: 'sleep',
  security: 'mtls',
  identities: {
    client: 'spiffe://cluster.local/ns/demo/sa/sleep',
    server: 'spiffe://cluster.local/ns/demo/sa/httpbin',
  },
  encryptedBetween: ['node1', 'node2'],
  legs: [
    'sleep -> ztunnel:15001',
    'ztunnel(node1) -> httpbin:15008 hbone',
    'ztunnel(node2) -> httpbin:8080',
  ],
  hops: 2,
  passes: 8,
  quiet: ['legacy.legacy/eth0'],
} as const satisfies Expectations;

function outcomesOf({ checks }: ScenarioVerdict): Record<string, Outcome> {
  return Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome]));
}

function judge(facts: RunFacts, expect: Expectations = ALL, name = 'sleep') {
  const verdict = judgeScenario(scenario(name, expect), facts);
  return { verdict, outcomes: outcomesOf(verdict) };
}

function pathOf(facts: RunFacts, name: string): Path {
  const path = facts.paths.find(({ request }) => request.name === name);
  if (path === undefined) throw new Error(`no path ${name}`);
  return path;
}

async function editJson<T>(dir: string, name: string, edit: (value: T) => unknown): Promise<void> {
  const value = JSON.parse(await readFile(join(dir, name), 'utf8')) as T;
  await writeFile(join(dir, name), JSON.stringify(edit(value)));
}

async function editLegs(dir: string, edit: (legs: LegRecord[]) => LegRecord[]): Promise<void> {
  const lines = (await readFile(join(dir, 'legs.jsonl'), 'utf8')).trim().split('\n');
  const legs = edit(lines.map((line) => JSON.parse(line) as LegRecord));
  await writeFile(join(dir, 'legs.jsonl'), legs.map((leg) => `${JSON.stringify(leg)}\n`).join(''));
}

/** Writes an interface's file anew, each frame cut by `cut`; undefined drops it. */
async function rewrite(dir: string, file: string, cut: (data: Buffer) => Buffer | undefined) {
  const path = join(dir, 'interfaces', file);
  const blocks = [
    encodePcapngHead({ interfaces: [{ name: file.replace('.pcapng', '').replace('--', '/') }] }),
  ];
  const reader = new PcapngReader({
    packet: (buffer, packet) => {
      const data = buffer.subarray(packet.dataOffset, packet.dataOffset + packet.capturedBytes);
      const kept = cut(data);
      const timeNs = (BigInt(packet.timeHigh) << 32n) | BigInt(packet.timeLow);
      const direction = packet.flags === 2 ? 'out' : 'in';
      const { originalBytes, mark } = packet;
      if (kept === undefined) return;
      blocks.push(
        encodePacket({ interfaceId: 0, timeNs, data: kept, originalBytes, direction, mark }),
      );
    },
  });
  reader.push(await readFile(path));
  await writeFile(path, Buffer.concat(blocks));
}

t.test('judgeScenario() holds every expectation of an encrypted request', async (t) => {
  const { facts } = await load('two-nodes');
  const { verdict, outcomes } = judge(facts);
  t.same(facts.problems, []);
  t.same(new Set(Object.values(outcomes)), new Set(['holds']), JSON.stringify(verdict.checks));
  t.same(Object.keys(outcomes).sort(), Object.keys(ALL).sort(), 'each expectation was judged');
  for (const { name, frames } of verdict.checks) {
    t.ok(name === 'quiet' || frames.some((ref) => ref.frames.length > 0), `${name} names frames`);
  }
  t.equal(exitCodeOf(verdict.outcome), 0);
});

t.test('judgeScenario() refutes what is otherwise than wanted', async (t) => {
  const { facts } = await load('two-nodes');
  const wrong: Expectations = {
    status: 503,
    outcome: 'reset',
    source: 'httpbin',
    security: 'plain',
    identities: { client: 'spiffe://cluster.local/ns/demo/sa/other' },
    plainBetween: ['node1', 'node2'],
    legs: ['sleep -> httpbin:8080'],
    hops: 3,
    passes: 2,
    quiet: ['sleep.demo/lo'],
  };
  const { verdict, outcomes } = judge(facts, wrong);
  t.same(new Set(Object.values(outcomes)), new Set(['refuted']), JSON.stringify(outcomes));
  t.equal(exitCodeOf(verdict.outcome), 1);
  const legacy = judge(facts, ALL, 'legacy');
  t.match(legacy.outcomes, {
    encryptedBetween: 'refuted',
    security: 'refuted',
    identities: 'refuted',
    source: 'refuted',
    legs: 'refuted',
    quiet: 'refuted',
  });
  const control: Expectations = {
    status: 200,
    source: 'legacy',
    security: 'plain',
    plainBetween: ['node1', 'node2'],
    legs: ['legacy -> httpbin:15006', 'ztunnel -> httpbin:8080'],
  };
  t.equal(judge(facts, control, 'legacy').verdict.outcome, 'holds');
});

t.test('judgeScenario() turns when the redirect was removed', async (t) => {
  const { facts } = await load('redirect-removed');
  t.match(judge(facts).outcomes, {
    status: 'holds',
    security: 'refuted',
    identities: 'refuted',
    encryptedBetween: 'refuted',
    legs: 'refuted',
    passes: 'refuted',
  });
});

t.test('judgeScenario() turns when a rule of the destination was removed', async (t) => {
  const { facts } = await load('mutated-rule');
  const { verdict, outcomes } = judge(facts);
  t.match(outcomes, { status: 'refuted', outcome: 'refuted' });
  t.not(outcomes['encryptedBetween'], 'holds', 'nothing of the request was carried');
  t.not(outcomes['source'], 'holds');
  t.equal(verdict.outcome, 'refuted');
});

t.test('judgeScenario() sees a ztunnel that speaks HTTP/2 without TLS', async (t) => {
  const { facts } = await load('without-tls');
  const { verdict, outcomes } = judge(facts, { ...ALL, quiet: undefined });
  t.match(outcomes, {
    status: 'holds',
    security: 'refuted',
    identities: 'refuted',
    encryptedBetween: 'refuted',
    legs: 'holds',
  });
  t.match(renderLadder(facts, verdict, PLAIN_TEXT), /HTTP\/2 without TLS/);
});

t.test('judgeScenario() could not run on an empty capture', async (t) => {
  const { facts } = await load('two-nodes', async (dir) => {
    await editJson<Recording>(dir, 'recording.json', (recording) => ({
      ...recording,
      interfaces: recording.interfaces.map((each) => ({ ...each, frames: 0 })),
    }));
    const { interfaces } = JSON.parse(
      await readFile(join(dir, 'recording.json'), 'utf8'),
    ) as Recording;
    for (const { file } of interfaces) await rewrite(dir, file, () => undefined);
  });
  const { verdict, outcomes } = judge(facts);
  t.same(new Set(Object.values(outcomes)), new Set(['could not run']));
  t.equal(exitCodeOf(verdict.outcome), 3);
  t.equal(proveMtls(scenario('sleep', {}), facts).outcome, 'could not run');
});

t.test('judgeScenario() could not run without a recording at all', async (t) => {
  const { facts } = await load('two-nodes', (dir) => rm(join(dir, 'recording.json')));
  t.same(new Set(Object.values(judge(facts).outcomes)), new Set(['could not run']));
});

t.test('judgeScenario() could not run when the kernel dropped frames', async (t) => {
  const { facts } = await load('two-nodes', (dir) =>
    editJson<Recording>(dir, 'recording.json', (recording) => ({
      ...recording,
      interfaces: recording.interfaces.map((each) => ({
        ...each,
        kernelDrops: each.netns === 'node2' && each.name === 'eth0' ? 3 : 0,
      })),
    })),
  );
  const { verdict, outcomes } = judge(facts);
  t.same(new Set(Object.values(outcomes)), new Set(['could not run']));
  t.match(verdict.checks[0]?.text, /kernel dropped 3 frames on node2\/eth0/);
});

t.test('judgeScenario() could not run on a file that is not whole', async (t) => {
  const { facts } = await load('two-nodes', async (dir) => {
    const path = join(dir, 'interfaces', 'node1--eth0.pcapng');
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 7));
  });
  t.equal(judge(facts).outcomes['encryptedBetween'], 'could not run');
  t.not(judge(facts).verdict.outcome, 'holds');
});

t.test('judgeScenario() could not run on clipped frames', async (t) => {
  const { facts } = await load('two-nodes', (dir) =>
    rewrite(dir, 'node1--eth0.pcapng', (data) => data.subarray(0, 60)),
  );
  t.equal(judge(facts).outcomes['encryptedBetween'], 'could not run');
  t.equal(proveMtls(scenario('sleep', {}), facts).outcome, 'could not run');
});

t.test('judgeScenario() could not run without the TLS secrets', async (t) => {
  const { facts } = await load('two-nodes', (dir) => writeFile(join(dir, 'keys.log'), ''));
  const { outcomes, verdict } = judge(facts);
  t.match(outcomes, {
    status: 'holds',
    security: 'could not run',
    identities: 'could not run',
    encryptedBetween: 'could not run',
    legs: 'holds',
  });
  t.equal(exitCodeOf(verdict.outcome), 3);
  t.match(verdict.checks.find(({ name }) => name === 'security')?.needs, /TLS secrets of leg 2/);
  t.equal(proveMtls(scenario('sleep', {}), facts).outcome, 'could not run');
});

t.test('judgeScenario() could not run with secrets of another session', async (t) => {
  const { facts } = await load('two-nodes', async (dir) => {
    const path = join(dir, 'keys.log');
    const text = await readFile(path, 'utf8');
    await writeFile(
      path,
      text.replaceAll(/ ([0-9a-f]+)$/gm, (_, hex: string) => ` ${flip(hex)}`),
    );
  });
  t.match(judge(facts).outcomes, {
    security: 'could not run',
    identities: 'could not run',
    encryptedBetween: 'could not run',
  });
  t.ok(facts.problems.some(({ kind }) => kind === 'wrong-keys'));
});

function flip(hex: string): string {
  return (hex.startsWith('0') ? '1' : '0') + hex.slice(1);
}

t.test('analyseRun() keeps identical requests at one moment apart', async (t) => {
  const { facts } = await load('two-nodes');
  const twins = ['twin a', 'twin b'].map((name) => pathOf(facts, name));
  for (const { legs, missing, request } of twins) {
    t.same(missing, []);
    t.equal(legs.length, 3);
    t.equal(legs[0]?.from.address, request.local, 'its own first leg');
    t.equal(legs[1]?.hbone?.stream.forwardedFor, request.local, 'its own stream');
  }
  const [a, b] = twins;
  t.equal(a?.request.canary, b?.request.canary, 'they are identical');
  t.not(a?.legs[1]?.hbone?.stream.stream, b?.legs[1]?.hbone?.stream.stream);
  t.not(a?.legs[2]?.connection, b?.legs[2]?.connection);
  const trace = (path: Path | undefined) => path?.legs[1]?.hbone?.stream.traceparent;
  t.not(trace(a), trace(b));
});

t.test('analyseRun() keeps two uses of one source port apart', async (t) => {
  const { facts } = await load('two-nodes');
  const [once, again] = ['port once', 'port again'].map((name) => pathOf(facts, name));
  t.equal(once?.request.local, again?.request.local, 'the port was used twice');
  t.same([once?.missing, again?.missing], [[], []]);
  for (const at of [0, 2]) t.not(once?.legs[at]?.connection, again?.legs[at]?.connection);
  t.not(once?.legs[1]?.hbone?.stream.stream, again?.legs[1]?.hbone?.stream.stream);
});

t.test('analyseRun() joins nothing that evidence contradicts', async (t) => {
  const { facts } = await load('two-nodes', (dir) =>
    editLegs(dir, (legs) => {
      const twins = legs.filter(({ direction, tunnel }) => direction === 'outbound' && tunnel);
      const streams = twins.map(({ tunnel }) => tunnel?.stream ?? 0);
      // Each record claims the stream of the next.
      const other = new Map(streams.map((each, at) => [each, streams[(at + 1) % streams.length]]));
      return legs.map((leg) =>
        leg.direction === 'outbound' && leg.tunnel
          ? { ...leg, tunnel: { ...leg.tunnel, stream: other.get(leg.tunnel.stream) ?? 0 } }
          : leg,
      );
    }),
  );
  const path = pathOf(facts, 'twin a');
  t.match(path.missing[0], /its CONNECT says for=/);
  const { outcomes } = judge(facts, ALL, 'twin a');
  t.match(outcomes, { legs: 'could not run', security: 'could not run', hops: 'could not run' });
});

t.test('analyseRun() joins by header and canary where no records are', async (t) => {
  const { facts } = await load('two-nodes', (dir) => editLegs(dir, () => []));
  const path = pathOf(facts, 'sleep');
  t.same(path.missing, []);
  t.same(
    path.joins.map(({ evidence }) => evidence),
    ['client-socket', 'forwarded-header', 'canary'],
  );
  t.equal(judge(facts).verdict.outcome, 'holds');
  const twin = pathOf(facts, 'twin a');
  t.match(twin.missing[0], /its canary is on 2 of the proxy's connections/, 'and never guesses');
  t.equal(judge(facts, { legs: ALL.legs }, 'twin a').verdict.outcome, 'could not run');
});

t.test('analyseRun() says when no record nor key can join', async (t) => {
  const { facts } = await load('two-nodes', async (dir) => {
    await editLegs(dir, () => []);
    await writeFile(join(dir, 'keys.log'), '');
  });
  t.match(pathOf(facts, 'sleep').missing[0], /no leg record for/);
  t.equal(judge(facts, { hops: 2 }).verdict.outcome, 'could not run');
});

t.test('analyseRun() joins through NAT by conntrack, and says so', async (t) => {
  const { facts } = await load('two-nodes');
  const { joins, legs } = pathOf(facts, 'legacy');
  t.ok(joins.some(({ evidence, text }) => evidence === 'conntrack' && /of node1$/.test(text)));
  t.match(legs[0]?.wanted, /:8000$/, 'the service was wanted');
  const without = await load('two-nodes', (dir) => writeFile(join(dir, 'conntrack.jsonl'), ''));
  const other = pathOf(without.facts, 'legacy');
  t.same(
    other.joins.map(({ evidence }) => evidence),
    ['client-socket', 'sequence-number', 'leg-record'],
    'without events the unchanged first frame has to do',
  );
});

t.test('analyseRun() names broken evidence', async (t) => {
  const { facts } = await load('two-nodes', async (dir) => {
    await writeFile(join(dir, 'legs.jsonl'), '{"node": 1}\nnot json\n');
    await writeFile(join(dir, 'conntrack.jsonl'), '[]\n');
  });
  const bad = facts.problems.filter(({ kind }) => kind === 'bad-record');
  t.same(
    bad.map(({ text }) => text),
    ['Cannot read 2 line(s) of "legs.jsonl"', 'Cannot read 1 line(s) of "conntrack.jsonl"'],
  );
});

t.test('checkQuiet() needs a recording of the interface', async (t) => {
  const { facts } = await load('two-nodes');
  t.equal(judge(facts, { quiet: ['nowhere/eth0'] }).verdict.outcome, 'could not run');
  t.equal(judge(facts, { quiet: ['outside/eth0'] }).verdict.outcome, 'holds');
});

t.test('judgeScenario() could not run when requests are missing', async (t) => {
  const { facts } = await load('two-nodes');
  const verdict = judgeScenario(scenario('sleep', { status: 200 }, 3), facts);
  t.equal(verdict.outcome, 'could not run');
  t.match(verdict.checks[0]?.needs, /3 requests, 1/);
  t.equal(judge(facts, {}).verdict.outcome, 'could not run', 'nothing expected, nothing proven');
});

t.test('proveMtls() names every link, and turns', async (t) => {
  const { facts } = await load('two-nodes');
  const proof = proveMtls(scenario('sleep', {}), facts);
  t.equal(proof.outcome, 'holds');
  const links = proof.checks.filter(({ name }) => name === 'link').map(({ text }) => text);
  t.same(links, [
    'sleep.demo/eth0 → node1/v-sleep: HBONE, leg 2',
    'node1/eth0 → fabric/p-node1: HBONE, leg 2',
    'fabric/p-node2 → node2/eth0: HBONE, leg 2',
    'node2/v-httpbin → httpbin.demo/eth0: HBONE, leg 2',
  ]);
  t.equal(proveMtls(scenario('legacy', {}), facts).outcome, 'refuted');
  for (const run of ['redirect-removed', 'without-tls'] as const) {
    const { facts } = await load(run);
    t.equal(proveMtls(scenario('sleep', {}), facts).outcome, 'refuted', run);
  }
});

t.test('worstOutcome() never makes nothing into something', async (t) => {
  t.equal(worstOutcome([]), 'could not run');
  t.equal(worstOutcome(['holds', 'could not run']), 'could not run');
  t.equal(worstOutcome(['holds', 'could not run', 'refuted']), 'refuted');
});

t.test('renderLadder() matches its golden texts', async (t) => {
  const { facts } = await load('two-nodes');
  const { facts: unread } = await load('two-nodes', (dir) => writeFile(join(dir, 'keys.log'), ''));
  const { facts: removed } = await load('redirect-removed');
  const control: Expectations = { status: 200, source: 'legacy', plainBetween: ['node1', 'node2'] };
  await matchesGolden(t, 'ladder-hbone', renderLadder(facts, judge(facts).verdict, PLAIN_TEXT));
  const legacy = judge(facts, control, 'legacy').verdict;
  await matchesGolden(t, 'ladder-plain', renderLadder(facts, legacy, PLAIN_TEXT));
  await matchesGolden(
    t,
    'ladder-without-keys',
    renderLadder(unread, judge(unread).verdict, PLAIN_TEXT),
  );
  await matchesGolden(
    t,
    'ladder-redirect-removed',
    renderLadder(removed, judge(removed).verdict, PLAIN_TEXT),
  );
});

t.test('renderBaseline() keeps what two runs have in common', async (t) => {
  const { facts } = await load('two-nodes');
  const text = renderBaseline(baselineOfRun(facts));
  await matchesGolden(t, 'baseline', text);
  for (const { request, legs } of facts.paths) {
    for (const random of [request.canary, request.startedNs, legs[0]?.from.address ?? '']) {
      t.notOk(text.includes(random), random);
    }
  }
  const later = JSON.parse(JSON.stringify(facts).replaceAll(/"1795\d{15}"/g, '"1800"')) as RunFacts;
  t.equal(renderBaseline(baselineOfRun(later)), text, 'other times, same text');
  const { facts: removed } = await load('redirect-removed');
  t.not(renderBaseline(baselineOfRun(removed)), text, 'another path, another text');
});

t.test('renderMermaid() draws each leg and its answer', async (t) => {
  const { facts } = await load('two-nodes');
  await matchesGolden(t, 'mermaid', renderMermaid(facts, pathOf(facts, 'sleep')));
});

t.test('renderLadder() says the same with and without colour, within its width', async (t) => {
  const { facts } = await load('two-nodes');
  const { verdict } = judge(facts);
  for (const width of [80, 100, 120]) {
    const plain = renderLadder(facts, verdict, { color: false, width });
    const colored = renderLadder(facts, verdict, { color: true, width });
    t.not(colored, plain, 'there is colour');
    t.equal(colored.replaceAll(/\u001b\[[\d;]*m/g, ''), plain);
    t.notMatch(plain, /\u001b/);
    for (const line of plain.split('\n')) t.ok([...line].length <= width, line);
  }
});

/** `UPDATE_GOLDEN=1` writes them anew. */
async function matchesGolden(t: Test, name: string, text: string): Promise<void> {
  const path = join(FIXTURES, 'golden', `${name}.txt`);
  if (process.env['UPDATE_GOLDEN'] === '1') await writeFile(path, `${text}\n`);
  t.equal(`${text}\n`, await readFile(path, 'utf8'), name);
}

t.test('renderSummary() and renderJunit() count what could not run as such', async (t) => {
  const { facts } = await load('two-nodes', (dir) => writeFile(join(dir, 'keys.log'), ''));
  const scenarios = [
    judge(facts).verdict,
    judge(facts, { status: 418 }, 'legacy').verdict,
    judge(facts, { status: 200 }, 'twin a').verdict,
    { name: 'a <b> & "c"\u0000', outcome: 'could not run', checks: [], paths: [] } as const,
  ];
  const outcome = worstOutcome(scenarios.map((each) => each.outcome));
  const verdict = { schema: VERDICT_SCHEMA, lab: 'x', outcome, scenarios } as const;
  const xml = renderJunit(verdict, facts);
  t.match(xml, /<testsuites name="x" tests="13" failures="1" errors="0" skipped="4">/);
  t.match(xml, /<testsuite name="a &lt;b&gt; &amp; &quot;c&quot;" tests="1"/);
  t.match(xml, /<failure message="status 200, wanted 418">/);
  t.match(renderSummary(verdict, facts, { color: false }), /1 of 4 scenarios held · 1 refuted/);
  const lint = spawnSync('xmllint', ['--noout', '-'], { input: xml });
  if (lint.error === undefined) t.equal(lint.status, 0, 'well-formed');
});

const tsharkIsThere = spawnSync('tshark', ['--version']).error === undefined;
const needsTshark = tsharkIsThere ? {} : { skip: 'needs tshark' };

t.test('writeStory() opens decrypted in tshark without a setting', needsTshark, async (t) => {
  const { dir, plan, facts } = await load('two-nodes');
  await writeStory({ dir, plan, facts });
  const fields = ['frame.interface_name', 'http2.headers.method', 'http2.headers.authority'];
  const connects = tshark(dir, 'http2.headers.method == "CONNECT"', fields);
  const tunnelled = facts.paths.filter(({ legs }) => legs[1]?.hbone !== undefined);
  const seen = connects.flatMap((line) => line.split('\t')[1]?.split(',') ?? []);
  t.same(
    seen,
    tunnelled.map(() => 'CONNECT'),
    'each CONNECT once',
  );
  for (const line of connects) t.match(line, /^sleep\.demo\/eth0\t[A-Z,]+\t[\d.:,]+$/);
  t.same(tshark(dir, 'tcp.analysis.retransmission', ['frame.number']), [], 'each leg once');
  const comments = tshark(dir, 'frame.comment', ['frame.comment']).join('\n');
  t.match(comments, /leg 2 of "sleep": ztunnel\(node1\) → ztunnel\(node2\), HBONE stream \d/);
  t.match(comments, /mark 0x539/);
  t.same(tshark(dir, '_ws.malformed', ['frame.number']), []);
});

t.test(
  'embedSecrets() lets every interface file be read, and does so once',
  needsTshark,
  async (t) => {
    const { dir, facts } = await load('two-nodes');
    const file = 'interfaces/node1--eth0.pcapng';
    const fields = ['frame.number', 'http2.headers.method'];
    const filter = 'http2.headers.method == "CONNECT"';
    t.same(tshark(dir, filter, fields, file), [], 'not without secrets');
    await embedSecrets(dir, facts);
    const connects = tshark(dir, filter, fields, file);
    t.ok(connects.length > 0);
    const frames = facts.paths.flatMap(({ legs }) => legs[1]?.passages[2]?.frame ?? []);
    for (const line of connects)
      t.ok(frames.includes(Number(line.split('\t')[0])), 'our frame too');
    const size = (await readFile(join(dir, file))).length;
    await embedSecrets(dir, facts);
    t.equal((await readFile(join(dir, file))).length, size);
  },
);

function tshark(
  dir: string,
  filter: string,
  fields: readonly string[],
  file = 'story.pcapng',
): readonly string[] {
  const args = ['-r', join(dir, file), '-Y', filter, '-T', 'fields'];
  const text = execFileSync('tshark', [...args, ...fields.flatMap((each) => ['-e', each])], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return text.split('\n').filter((line) => line !== '');
}
