import { join } from 'node:path';
import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import { holdsWhole } from './support/holds-whole.ts';

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
    const ipFamilies = ['IPv4', 'IPv6'] as const;
    const topology = { ...loadTopology(PAIRS), networkPolicy, ipFamilies };
    const plan = planLab(topology, { lab: `t${process.pid}-${cni}`, cni });
    await using lab = await createLab(plan);
    const scenarios = plan.scenarios.filter(({ name }) => QUICK.includes(name));
    t.equal(scenarios.length, QUICK.length);
    await holdsWhole(t, lab, { scenarios });
    t.same(await lab.drift(), [], 'the kernel has what was planned');
    const far = { from: 'bystander', to: 'http://pod:far:8080/get' };
    const hbone = { from: 'bystander', to: 'tcp://pod:far:15008' };
    const askIn = async (request: typeof far, ipFamily: IpFamily) => {
      const { outcome } = await lab.request(
        { ...request, ipFamily, count: 1 },
        { timeoutMs: 2000 },
      );
      return outcome;
    };
    const ask = (request: typeof far) =>
      Promise.all(ipFamilies.map((family) => askIn(request, family)));
    const timeouts = ipFamilies.map(() => 'timeout');
    t.notOk((await ask(hbone)).includes('timeout'), 'control: without a policy 15008 answers');
    await lab.changePolicies({ kind: 'apply', policy: POLICY });
    t.same(await ask(far), ['ok', 'ok'], 'the port it admits, in both families');
    t.same(await ask(hbone), timeouts, 'port 15008 is not answered');
    const dropped = (await lab.policyRules('node2')).filter(({ label }) =>
      label.endsWith('HBONE denied'),
    );
    t.ok((dropped[0]?.packets ?? 0) > 0, 'its SYNs are counted as dropped');
    const probe = await lab.request({ from: 'node2', to: 'http://pod:far:8080/get', count: 1 });
    t.equal(probe.status, 200, 'the probe of the node gets through');
    t.same(await lab.drift(), [], 'and the rules are what the policies say');
    await lab.changePolicies({ kind: 'delete', namespace: 'demo', name: 'far' });
    t.notOk((await ask(hbone)).includes('timeout'), 'without the policy it answers again');
    t.same(await lab.policyRules('node2'), [], 'no rule is left');
  });
}
