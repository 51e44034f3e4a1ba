import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { HeldConnection } from '../../lab/claims/held.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../../lab/hosts/envoy.ts';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import { proveMtls } from '../../lab/judge/prove-mtls.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { renderLadder } from '../../lab/report/ladder.ts';
import { observe } from '../../lab/run/observe.ts';
import { isDrifted, readRules } from '../../lab/run/read-rules.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import { loadTopology } from '../../topologies/load.ts';
import { holdsWhole } from './support/holds-whole.ts';
import { accessLog, execIn, scratchDirectory } from './support/lab.ts';

t.setTimeout(300_000);
const TOPOLOGIES = join(import.meta.dirname, '..', '..', 'topologies');
const skip = findEnvoy() === undefined ? `no Envoy here; wanted: ${HOW_TO_GET_ENVOY}` : false;

t.test('sidecars: all scenarios hold, read out of decrypted packets', { skip }, async (t) => {
  const topology = loadTopology(join(TOPOLOGIES, 'sidecars.yaml'));
  const plan = planLab(topology, { lab: `t${process.pid}-sidecars` });
  await using scratch = await scratchDirectory();
  await using lab = await createLab(plan);
  const directory = join(scratch.path, 'all');
  const { facts } = await observe(lab, { directory }, async () => {
    const reports = [];
    // One after the other: Envoy keeps connections, and later requests ride on earlier ones.
    for (const { name, request } of plan.scenarios)
      reports.push(await lab.request(request, { name }));
    return reports;
  });
  t.same(facts.problems, [], 'the recording is whole');
  for (const scenario of plan.scenarios) {
    const verdict = judgeScenario(scenario, facts);
    const ladder = renderLadder(facts, verdict, { color: false, width: 120 });
    t.equal(verdict.outcome, 'holds', verdict.name, { ladder });
  }

  const [encrypted, , plain] = plan.scenarios;
  t.equal(proveMtls(encrypted!, facts).outcome, 'holds', 'prove says so');
  t.equal(proveMtls(plain!, facts).outcome, 'refuted', 'and refutes what is plain');

  const keys = await readFile(join(directory, 'keys.log'), 'utf8');
  t.match(keys, /^CLIENT_TRAFFIC_SECRET_0 /m, "Envoy's secrets are in the recording");
  const log = await readFile(join(lab.directory, 'logs', 'envoy-httpbin.demo.log'), 'utf8');
  t.match(log, /"GET \/get\S* HTTP\/1\.1" 200 - via_upstream .* inbound\|8080\|\| 127\.0\.0\.6:/);

  const serial = async (): Promise<string> => {
    const shown = `echo | openssl s_client -connect ${addressIn(lab, 'httpbin')}:15008 2>/dev/null`;
    const asked = await execIn(lab, 'legacy', [
      'sh',
      '-c',
      `${shown} | openssl x509 -noout -serial`,
    ]);
    return asked.stdout.trim();
  };
  const before = await serial();
  t.match(before, /^serial=/, 'the certificate of httpbin is seen');
  t.equal(await serial(), before, 'control: it stays the same');
  const echo = lab.plan.services.find(({ name }) => name === 'echo')?.vip ?? '';
  await using held = await HeldConnection.open(lab, 'sleep', echo, 9000, 60_000);
  await lab.rotateSidecars();
  const { echoed } = held;
  for (let tries = 0; tries < 100 && (await serial()) === before; tries++) await sleep(100);
  t.not(await serial(), before, 'after rotation a new one is shown');
  for (let tries = 0; tries < 100 && held.echoed <= echoed; tries++) await sleep(100);
  t.ok(held.echoed > echoed, 'and a connection that was open goes on');

  const reading = await readRules(lab, 'sleep');
  t.notOk(isDrifted(reading), 'the rules of the pod are those of istio-init');
  const removed = await execIn(lab, 'sleep', ['iptables', '-t', 'nat', '-F', 'ISTIO_OUTPUT']);
  t.equal(removed.exitCode, 0, removed.stderr);
  t.ok(isDrifted(await readRules(lab, 'sleep')), 'a rule that is gone is seen');
  const bare = await observe(lab, { directory: join(scratch.path, 'bare') }, async () => [
    await lab.request(encrypted!.request, { name: encrypted!.name }),
  ]);
  t.equal(
    judgeScenario(encrypted!, bare.facts).outcome,
    'refuted',
    'and without it nothing is mTLS',
  );
});

t.test('PeerAuthentication holds alike at sidecars and in ambient', { skip }, async (t) => {
  await using lab = await labOf('peer-authentication.yaml');
  await holdsWhole(t, lab);
  const lines = await accessLog(lab, 'node2');
  const denial =
    /policy rejection: explicitly denied by: mesh\/converted_peer_authentication_open-echo/;
  t.ok(
    lines.some((line) => denial.test(line)),
    'ztunnel names the policy that stands for it',
  );
});

t.test('annotations: TPROXY, ports and ranges, names of ports, IPv6', { skip }, async (t) => {
  await using lab = await labOf('sidecar-modes.yaml');
  t.same(await lab.drift(), [], 'the kernel has what was planned, of both families');
  await holdsWhole(t, lab);
  for (const pod of ['tproxy', 'including-range']) {
    t.notOk(isDrifted(await readRules(lab, pod)), `${pod} has the rules of istio-init`);
  }
});

function addressIn({ plan }: Lab, pod: string): string {
  return plan.pods.find(({ name }) => name === pod)?.address ?? '';
}

function labOf(file: string): Promise<Lab> {
  const lab = `t${process.pid}-${file.replace('.yaml', '')}`;
  return createLab(planLab(loadTopology(join(TOPOLOGIES, file)), { lab }));
}
