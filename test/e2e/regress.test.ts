import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { ERA_NAMES } from '../../topologies/era.ts';
import { loadTopology } from '../../topologies/load.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { compareWithRun } from '../../lab/regress/compare-run.ts';
import type { RegressResult } from '../../lab/regress/results.ts';
import { observe } from '../../lab/run/observe.ts';
import { runScenarios } from '../../lab/run/run-scenarios.ts';
import { createLab } from '../../lab/world/client.ts';
import { renderChanges } from '../../lab/report/regress.ts';
import { command, commandAsNobody } from './support/command.ts';
import { execIn, scratchDirectory } from './support/lab.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SAME_NODE = join(ROOT, 'topologies', 'same-node.yaml');
const BASELINES = join(ROOT, 'results', 'baselines');
const CAPTURES = join(ROOT, 'test', 'fixtures', 'captures');

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}
t.setTimeout(300_000);

const LONG = { timeoutMs: 240_000 };

t.test('regress finds one topology in all eras as it is committed', async (t) => {
  await using scratch = await scratchDirectory();
  const junit = join(scratch.path, 'junit.xml');
  const done = await command(
    ['regress', SAME_NODE, '--json', '--results', scratch.path, '--junit', junit],
    LONG,
  );
  t.equal(done.exitCode, 0, `${done.stdout}${done.stderr}`);
  const { cells } = JSON.parse(done.stdout) as RegressResult;
  t.same(
    cells.map(({ era, state, scenarios }) => [era, state, scenarios.length]),
    ERA_NAMES.map((era) => [era, 'same', 5]),
  );
  t.match(await readFile(junit, 'utf8'), /tests="20" failures="0" errors="0" skipped="0"/);
});

t.test('regress tells another era, a scenario that is gone, one that is new', async (t) => {
  await using scratch = await scratchDirectory();
  const baselines = join(scratch.path, 'baselines');
  await mkdir(baselines);
  const file = join(baselines, 'same-node.inpod-tproxy.txt');
  await copyFile(join(BASELINES, 'same-node.inpod-redirect.txt'), file);
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('\nUDP is left alone\n', '\nUDP of former times\n'));
  const options = ['--era', 'inpod-tproxy', '--baselines', baselines, '--results', scratch.path];
  const done = await command(['regress', SAME_NODE, ...options], LONG);
  t.equal(done.exitCode, 1, done.stderr);
  t.match(done.stdout, /~ arrives at: httpbin:15006 → httpbin:8080 +httpbin\.demo\/eth0 #\d+/);
  t.match(done.stdout, /✘ UDP is left alone: new, the baseline has it not/);
  t.match(done.stdout, /✘ UDP of former times: vanished, only the baseline has it/);
  t.match(done.stdout, /1 differs · 1 new · 1 vanished/);
  const written = await command(['regress', SAME_NODE, '--update', ...options], LONG);
  t.equal(written.exitCode, 0, written.stderr);
  const committed = await readFile(join(BASELINES, 'same-node.inpod-tproxy.txt'), 'utf8');
  t.equal(await readFile(file, 'utf8'), committed, '--update writes what is committed');
});

t.test(
  'compareWithRun() tells rules that are gone, and plain text, from a running mesh',
  async (t) => {
    await using scratch = await scratchDirectory();
    const plan = planLab(loadTopology(SAME_NODE), { lab: `t${process.pid}rg` });
    const scenarios = plan.scenarios.slice(0, 1);
    await using lab = await createLab(plan);
    const look = async (name: string) => {
      const directory = join(scratch.path, name);
      const make = () => runScenarios(lab, scenarios);
      return (await observe(lab, { directory, quietMs: 250 }, make)).facts;
    };
    const { baseline } = compareWithRun(undefined, await look('known'), scenarios, {
      isUpdate: true,
    });
    const against = async (name: string) =>
      compareWithRun(baseline, await look(name), scenarios, { isUpdate: false });

    t.equal((await against('control')).state, 'same');

    const flush = ['iptables', '-t', 'nat', '-F', 'ISTIO_OUTPUT'];
    t.equal((await execIn(lab, 'sleep', flush)).exitCode, 0);
    const flushed = await against('flushed');
    t.equal(flushed.state, 'differs');
    const text = renderChanges(flushed.scenarios[0]?.changes ?? [], {
      ...{ color: false, width: 200, from: '/' },
    }).join('\n');
    t.match(text, /~ leg 2: ztunnel\(node1\) -> ztunnel\(node1\), hbone tcp → .*plain tcp/);
    t.match(text, /~ readable on: .* → .*httpbin\.demo\/eth0/s, 'the request is plain text now');

    await lab.leave('sleep');
    const left = await against('left');
    t.equal(left.state, 'differs');
    const keys = left.scenarios[0]?.changes.map(({ key }) => key) ?? [];
    t.ok(keys.includes('leg 2 / client'), 'no identity any more');
  },
);

t.test('regress --pcap needs no root, and no lab', async (t) => {
  const capture = join(CAPTURES, 'denied.pcapng');
  const facts = `${capture}.facts.txt`;
  const regress = (...args: readonly string[]) => commandAsNobody(['regress', ...args]);
  const same = await regress('--pcap', capture, '--baseline', facts);
  t.equal(same.exitCode, 0, same.stderr);
  t.match(same.stdout, /2 of 2 blocks as /);

  const other = join(CAPTURES, 'refused.pcapng');
  const differs = await regress('--pcap', other, '--baseline', facts, '--json');
  t.equal(differs.exitCode, 1, differs.stderr);
  t.match(JSON.parse(differs.stdout), {
    state: 'differs',
    schema: 'ambient-lab/regress-capture/1',
  });

  const without = await regress('--pcap', capture);
  t.equal(without.exitCode, 2);
  t.match(without.stderr, /--baseline <file> is missing/);
  const absent = await regress('--pcap', capture, '--baseline', '/nowhere/b.txt');
  t.equal(absent.exitCode, 2);
  t.match(absent.stderr, /"\/nowhere\/b.txt": there is no such file\nWrite it .* with --update/);
  const noCapture = await regress('--pcap', SAME_NODE, '--baseline', facts);
  t.equal(noCapture.exitCode, 2);
  t.match(noCapture.stderr, /same-node\.yaml": it is neither pcapng nor pcap/);
  const noBaseline = await regress('--pcap', capture, '--baseline', SAME_NODE);
  t.equal(noBaseline.exitCode, 2);
  t.match(noBaseline.stderr, /same-node\.yaml:\d+:\d+: /);
  const labs = await regress(SAME_NODE);
  t.equal(labs.exitCode, 3);
  t.match(labs.stderr, /Cannot run "regress" as a normal user/);
});

t.test(
  'regress --pcap --update writes what it then holds; lost secrets are no difference',
  async (t) => {
    await using scratch = await scratchDirectory();
    const baseline = join(scratch.path, 'facts.txt');
    const capture = join(CAPTURES, 'denied.pcapng');
    const written = await command([
      'regress',
      '--pcap',
      capture,
      '--baseline',
      baseline,
      '--update',
    ]);
    t.equal(written.exitCode, 0, written.stderr);
    t.equal(await readFile(baseline, 'utf8'), await readFile(`${capture}.facts.txt`, 'utf8'));

    const blind = join(scratch.path, 'blind.pcapng');
    const bytes = Buffer.from(await readFile(capture));
    // The secrets block comes second; as a block of unknown type it is stepped over.
    bytes.writeUInt32LE(0x0bad, bytes.readUInt32LE(4));
    await writeFile(blind, bytes);
    const unread = await command(['regress', '--pcap', blind, '--baseline', baseline]);
    t.equal(unread.exitCode, 3, unread.stdout);
    t.match(unread.stdout, /could not run, needs CLIENT_HANDSHAKE_TRAFFIC_SECRET .* --keys/);

    const empty = join(scratch.path, 'empty.pcap');
    await writeFile(empty, (await readFile(join(CAPTURES, 'plain.pcap'))).subarray(0, 24));
    const nothing = await command(['regress', '--pcap', empty, '--baseline', baseline, '--update']);
    t.equal(nothing.exitCode, 3);
    t.match(nothing.stdout, /could not run, the capture has no frames/);
  },
);

t.test('regress says what is wrong with its input, and builds nothing', async (t) => {
  const cases = [
    [['--era', 'inpod-tprox'], /Did you mean "inpod-tproxy"\?/],
    [['--jobs', '0'], /Cannot run "0" labs at a time/],
    [['--scenario', 'no such thing'], /Cannot find a scenario with "no such thing"/],
    [['/nowhere/x.yaml'], /\/nowhere\/x\.yaml/],
  ] as const;
  for (const [args, message] of cases) {
    const done = await command(['regress', ...args]);
    t.equal(done.exitCode, 2, done.stderr);
    t.match(done.stderr, message);
  }
});
