import { join } from 'node:path';
import t from 'tap';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { renderLadder } from '../../lab/report/ladder.ts';
import { observe } from '../../lab/run/observe.ts';
import { runScenarios } from '../../lab/run/run-scenarios.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import { scratchDirectory } from './support/lab.ts';

const PAIRS = join(import.meta.dirname, '..', 'fixtures', 'topologies', 'pairs.yaml');
const QUICK = ['same node, by service', 'other node, by service', 'outside the mesh to inside'];

/** Admits only the app's port of `far`, from anywhere. */
const POLICY: NetworkPolicy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'far', namespace: 'demo' },
  spec: { podSelector: { matchLabels: { app: 'far' } }, ingress: [{ ports: [{ port: 8080 }] }] },
};
const FLAVOURS = [
  ['bridge', 'iptables'],
  ['vxlan', 'nft'],
] as const;

for (const [cni, networkPolicy] of FLAVOURS) {
  t.test(`pods on ${cni}: scenarios hold, policies by ${networkPolicy} are enforced`, async (t) => {
    const topology = { ...loadTopology(PAIRS), networkPolicy };
    const plan = planLab(topology, { lab: `t${process.pid}-${cni}`, cni });
    await using lab = await createLab(plan);
    await using scratch = await scratchDirectory();
    const scenarios = plan.scenarios.filter(({ name }) => QUICK.includes(name));
    const { facts } = await observe(lab, { directory: scratch.path }, () =>
      runScenarios(lab, scenarios),
    );
    t.equal(scenarios.length, QUICK.length);
    for (const scenario of scenarios) {
      const verdict = judgeScenario(scenario, facts);
      const ladder = renderLadder(facts, verdict, { color: false, width: 120 });
      t.equal(verdict.outcome, 'holds', scenario.name, { ladder });
    }
    t.same(await lab.drift(), [], 'the kernel has what was planned');
    const far = { from: 'bystander', to: 'http://pod:far:8080/get' };
    const hbone = { from: 'bystander', to: 'tcp://pod:far:15008' };
    const ask = async (request: typeof far) =>
      (await lab.request({ ...request, count: 1 }, { timeoutMs: 1500 })).outcome;
    t.not(await ask(hbone), 'timeout', 'control: without a policy port 15008 answers somehow');
    await lab.changePolicies({ kind: 'apply', policy: POLICY });
    t.equal(await ask(far), 'ok', 'the port it admits');
    t.equal(await ask(hbone), 'timeout', 'port 15008 is not answered');
    const dropped = (await lab.policyRules('node2')).filter(({ label }) =>
      label.endsWith('HBONE denied'),
    );
    t.ok((dropped[0]?.packets ?? 0) > 0, 'its SYNs are counted as dropped');
    const probe = await lab.request({ from: 'node2', to: 'http://pod:far:8080/get', count: 1 });
    t.equal(probe.status, 200, 'the probe of the node gets through');
    t.same(await lab.drift(), [], 'and the rules are what the policies say');
    await lab.changePolicies({ kind: 'delete', namespace: 'demo', name: 'far' });
    t.not(await ask(hbone), 'timeout', 'without the policy it answers again');
    t.same(await lab.policyRules('node2'), [], 'no rule is left');
  });
}
