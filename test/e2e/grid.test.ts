import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { cellsOf } from '../../lab/grid/cells.ts';
import { gridOf, type GridResult } from '../../lab/grid/grid-result.ts';
import { planGrid } from '../../lab/grid/plan-grid.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../../lab/hosts/envoy.ts';
import { judgeRun } from '../../lab/run/judge-run.ts';
import { observe } from '../../lab/run/observe.ts';
import { runScenarios } from '../../lab/run/run-scenarios.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import { command } from './support/command.ts';
import { scratchDirectory } from './support/lab.ts';

const skip = findEnvoy() === undefined ? `no Envoy here; wanted: ${HOW_TO_GET_ENVOY}` : false;
const LONG = { timeoutMs: 240_000 };

type Printed = GridResult & { readonly directory: string };

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}
t.setTimeout(300_000);

t.test('grid tells who encrypts between sidecars and ambient pods', { skip }, async (t) => {
  await using scratch = await scratchDirectory();
  const choice = ['--from', 'sidecar', 'ambient', '--to', 'sidecar', 'ambient', '--node', 'other'];
  const named = ['--lab', `tg${process.pid}`, '--results', scratch.path];
  const done = await command(['grid', ...choice, ...named, '--json'], LONG);
  t.equal(done.exitCode, 0, `${done.stdout}${done.stderr}`);
  const { cells, directory } = JSON.parse(done.stdout) as Printed;
  const seen = cells.map(({ number, facts }) => {
    const { extent, tunnels } = facts?.encryption ?? {};
    return [number, tunnels?.[0]?.wrapping ?? 'plain', extent, facts?.source?.name];
  });
  t.same(seen, [
    [19, 'mtls', 'pod to pod', '127.0.0.6'],
    [20, 'plain', 'nowhere', '127.0.0.6'],
    [23, 'hbone', 'pod to pod', 'sidecar-client'],
    [24, 'plain', 'nowhere', 'sidecar-client'],
    [31, 'hbone', 'pod to pod', '127.0.0.6'],
    [32, 'hbone', 'pod to pod', '127.0.0.6'],
    [35, 'hbone', 'pod to pod', 'ambient-client'],
    [36, 'hbone', 'pod to pod', 'ambient-client'],
  ]);
  t.ok(
    cells.every(({ facts }) => facts?.legs.length === 3 && facts.hops === 2 && facts.passes === 8),
    'three legs each way',
  );
  t.match(
    await readFile(join(directory, 'junit.xml'), 'utf8'),
    /failures="0" errors="0" skipped="0"/,
  );
  t.equal((await readdir(join(directory, 'ladders'))).length, 8);
  const ladder = await readFile(join(directory, cells[0]!.ladder!), 'utf8');
  t.match(ladder, /^sidecar → sidecar, other node, by service .*\n 1 {2}sidecar-client → envoy/);
  const page = await readFile(join(directory, 'index.html'), 'utf8');
  for (const { name } of cells) t.ok(page.includes(name), `${name} is on the page`);
});

t.test('gridOf() refutes a cell whose rules are gone, and no other', async (t) => {
  const topology = loadTopology(join(import.meta.dirname, '..', '..', 'topologies', 'grid.yaml'));
  const cells = cellsOf({
    from: ['none', 'ambient'],
    to: ['ambient'],
    node: ['other'],
    by: ['pod'],
  });
  const { plan, kind } = planGrid(topology, cells, { lab: `tf${process.pid}` });
  await using lab = await createLab(plan);
  await using scratch = await scratchDirectory();
  const directory = join(scratch.path, 'flushed');
  t.equal(await lab.exec('ambient-client', ['iptables', '-t', 'nat', '-F', 'ISTIO_OUTPUT']), 0);
  const observation = await observe(lab, { directory, quietMs: 250 }, () =>
    runScenarios(lab, plan.scenarios),
  );
  const verdict = await judgeRun(observation, plan.scenarios);
  const [control, flushed] = gridOf(cells, kind, verdict, observation.facts).cells;
  t.match(control, { number: 12, outcome: 'holds' });
  t.match(flushed, { number: 36, outcome: 'refuted', reachable: true });
  t.equal(flushed?.facts?.encryption.extent, 'nowhere', 'what was told of it changed');
  t.match(flushed?.differs?.join(), /wanted mtls/);
});

t.test('grid without Envoy runs what needs none, and says how to get it', async (t) => {
  await using scratch = await scratchDirectory();
  const env = { ...process.env, ENVOY: join(scratch.path, 'no-envoy') };
  const choice = ['--from', 'ambient', '--to', 'sidecar', 'ambient', '--node', 'same'];
  const named = ['--lab', `tn${process.pid}`, '--results', scratch.path];
  const done = await command(['grid', ...choice, '--by', 'pod', ...named], { ...LONG, env });
  t.equal(done.exitCode, 3, `${done.stdout}${done.stderr}`);
  t.match(done.stdout, /✔ +34 +ambient +same +pod IP +200 +●● +HBONE, pod to pod/);
  t.match(
    done.stdout,
    /\? +30 +sidecar +same +pod IP +– +could not run\n +needs Envoy: the variable/,
  );
  t.match(done.stderr, /Not to be run here: 1 cell, for want of Envoy: /);
  const alone = ['--from', 'sidecar', '--to', 'ambient', ...named];
  const none = await command(['grid', ...alone], { ...LONG, env });
  t.equal(none.exitCode, 3);
  t.match(none.stderr, /it lacks\n +Envoy .*\n +wanted: the variable ENVOY/);
});

t.test('grid says what is wrong with its input, and builds nothing', async (t) => {
  const cases = [
    [['--era', 'nonsense'], /Cannot plan era "nonsense": want one of/],
    [['--from', 'nonsense'], /Allowed choices are none, sidecar, ambient/],
    [['--node', 'third'], /Allowed choices are same, other/],
    [['--by', 'name'], /Allowed choices are service, pod/],
    [['--results', '/proc/grid'], /Cannot write results to "\/proc\/grid"/],
  ] as const;
  for (const [args, message] of cases) {
    const done = await command(['grid', ...args]);
    t.equal(done.exitCode, 2, `${args.join(' ')}: ${done.stderr}`);
    t.match(done.stderr, message);
  }
});
