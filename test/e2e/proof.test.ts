import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Era } from '../../dataplane/redirect/era.ts';
import { CAPTURE_FILES } from '../../lab/capture/layout.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { analyseRun } from '../../lab/facts/analyse-run.ts';
import type { RunFacts } from '../../lab/facts/facts.ts';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import { proveMtls } from '../../lab/judge/prove-mtls.ts';
import { renderLadder } from '../../lab/report/ladder.ts';
import { observe, type Observation } from '../../lab/run/observe.ts';
import { settle } from '../../lab/run/settle.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab, ProgramCommand, RequestOptions } from '../../lab/world/lab.ts';
import { labPaths } from '../../lab/world/paths.ts';
import { programArgv } from '../../lab/world/programs.ts';
import { loadTopology } from '../../topologies/load.ts';
import type { Expectations, Scenario } from '../../topologies/topology.ts';
import { execIn, scratchDirectory, startLab, TESTED_ERAS } from './support/lab.ts';

const PAIRS = join(import.meta.dirname, '..', 'fixtures', 'topologies', 'pairs.yaml');

/** What a request from client to far is when nothing was done to it. */
const EXPECT = {
  status: 200,
  source: 'client',
  security: 'mtls',
  encryptedBetween: ['node1', 'node2'],
  legs: ['client -> ztunnel:15001', 'ztunnel -> far:15008 hbone', 'ztunnel -> far:8080'],
} as const satisfies Expectations;

function scenarioOf(name: string): Scenario {
  const request = { from: 'client', to: 'http://far.demo/get', count: 1 };
  return { name, before: [], request, expect: EXPECT, line: 0 };
}

async function observeRequests(
  lab: Lab,
  directory: string,
  names: readonly string[],
  options: RequestOptions = {},
): Promise<Observation> {
  await mkdir(directory, { recursive: true });
  return observe(lab, { directory }, () =>
    Promise.all(
      names.map((name) =>
        lab.request(scenarioOf(name).request, { timeoutMs: 4000, ...options, name }),
      ),
    ),
  );
}

function outcomesOf(facts: RunFacts, name = 'request'): Readonly<Record<string, string>> {
  const { checks, outcome } = judgeScenario(scenarioOf(name), facts);
  const proof = proveMtls(scenarioOf(name), facts).outcome;
  const judged = Object.fromEntries(checks.map((check) => [check.name, check.outcome]));
  return { ...judged, proof, all: outcome };
}

async function inPod(lab: Lab, pod: string, ...argv: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await execIn(lab, pod, argv);
  if (exitCode !== 0) throw new Error(`Cannot run ${argv.join(' ')} in ${pod}: ${stderr}`);
}

/** Empties the chain of Istio that outbound packets meet in a table. */
function flush(era: Era, table: 'nat' | 'mangle'): readonly string[] {
  return era === 'inpod-nft'
    ? ['nft', 'flush', 'chain', 'inet', `istio-ambient-${table}`, 'istio-output']
    : ['iptables', '-t', table, '-F', 'ISTIO_OUTPUT'];
}

/** A ztunnel that leaves TLS out of HBONE, started as ours is. */
function clearZtunnel(): ProgramCommand {
  const argv = programArgv('ztunnel').slice(0, -1);
  return { argv: [...argv, join(import.meta.dirname, 'support', 'clear-ztunnel.mjs')] };
}

t.setTimeout(260_000);

t.test('HBONE without TLS is no proof: everything else is as it should be', async (t) => {
  t.setTimeout(85_000);
  const plan = planLab(loadTopology(PAIRS), { lab: `t${process.pid}-clear` });
  await using lab = await createLab(plan, { ztunnel: clearZtunnel() });
  await using scratch = await scratchDirectory();
  const { facts } = await observeRequests(lab, scratch.path, ['request']);
  const outcomes = outcomesOf(facts);
  t.match(outcomes, {
    status: 'holds',
    source: 'holds',
    legs: 'holds',
    security: 'refuted',
    encryptedBetween: 'refuted',
    proof: 'refuted',
    all: 'refuted',
  });
  const proof = proveMtls(scenarioOf('request'), facts);
  t.match(renderLadder(facts, proof, { color: false, width: 120 }), /HTTP\/2 without TLS/);
});

for (const era of TESTED_ERAS) {
  t.test(`what proves mutual TLS, and what must not, in era ${era}`, async (t) => {
    t.setTimeout(85_000);
    await using lab = await startLab('pairs.yaml', era, 'p');
    await using scratch = await scratchDirectory();
    let runs = 0;
    const see = (names: readonly string[] = ['request'], options?: RequestOptions) =>
      observeRequests(lab, join(scratch.path, String(runs++)), names, options);

    await t.test('proveMtls() holds, again and again', async (t) => {
      for (const round of [1, 2]) {
        const { facts } = await see();
        const outcomes = outcomesOf(facts);
        t.same(new Set(Object.values(outcomes)), new Set(['holds']), `round ${round}`, {
          ladder: renderLadder(facts, proveMtls(scenarioOf('request'), facts), {
            color: false,
            width: 120,
          }),
        });
      }
    });

    await t.test('requests at one moment keep to their own streams', async (t) => {
      const names = ['one', 'two', 'three', 'four'];
      const { facts } = await see(names);
      for (const name of names) t.equal(outcomesOf(facts, name)['all'], 'holds', name);
      const streams = facts.paths.map(
        ({ legs: [, tunnel] }) => `${tunnel?.connection} ${tunnel?.hbone?.stream.stream}`,
      );
      t.equal(new Set(streams).size, names.length);
    });

    await t.test('without its secrets nothing is proven', async (t) => {
      const directory = join(scratch.path, 'keyless');
      await lab.startCapture(directory);
      const requests = [await lab.request(scenarioOf('request').request, { name: 'request' })];
      await settle(labPaths(lab.name).legs, { quietMs: 60, timeoutMs: 2000 });
      await lab.stopCapture();
      await writeFile(join(directory, CAPTURE_FILES.keys), '');
      const facts = await analyseRun({ dir: directory, plan: lab.plan, requests });
      t.match(outcomesOf(facts), {
        security: 'could not run',
        encryptedBetween: 'could not run',
        proof: 'could not run',
        legs: 'holds',
      });
    });

    await t.test('a recorder that lost frames proves nothing', async (t) => {
      const directory = join(scratch.path, 'drops');
      await lab.startCapture(directory, { bufferBytes: 1 });
      const [far] = lab.plan.pods.filter(({ name }) => name === 'far');
      const load = `for i in $(seq 40); do curl -s -o /dev/null http://${far?.address}:8080/bytes/1000000 & done; wait`;
      await inPod(lab, 'client', 'sh', '-c', load);
      const requests = [await lab.request(scenarioOf('request').request, { name: 'request' })];
      const recording = await lab.stopCapture();
      const drops = recording.interfaces.reduce((sum, each) => sum + each.kernelDrops, 0);
      t.ok(drops > 0, `the kernel dropped ${drops} frames`);
      const facts = await analyseRun({ dir: directory, plan: lab.plan, requests });
      const { all, proof } = outcomesOf(facts);
      t.same([all, proof], ['could not run', 'could not run']);
    });

    await t.test('without the redirect the verdict turns', async (t) => {
      await inPod(lab, 'client', ...flush(era, 'nat'));
      const { facts } = await see();
      t.match(outcomesOf(facts), {
        status: 'holds',
        security: 'refuted',
        encryptedBetween: 'refuted',
        legs: 'refuted',
        proof: 'refuted',
      });
    });

    await t.test('taken out and put in again it holds', async (t) => {
      await lab.leave('client');
      await lab.enrol('client');
      t.equal(outcomesOf((await see()).facts)['all'], 'holds');
    });

    await t.test('without the rule that brings replies home nothing is answered', async (t) => {
      await inPod(lab, 'far', ...flush(era, 'mangle'));
      const { facts } = await see(['request'], { timeoutMs: 1500 });
      const outcomes = outcomesOf(facts);
      t.match(outcomes, { status: 'refuted', all: 'refuted' });
      t.not(outcomes['proof'], 'holds');
      t.not(outcomes['encryptedBetween'], 'holds');
    });
  });
}
