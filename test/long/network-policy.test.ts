import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ERAS } from '../../dataplane/redirect/era.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import { CNI_NAMES, NETWORK_POLICY_FLAVOURS } from '../../topologies/cni.ts';
import { loadTopology } from '../../topologies/load.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import { holdsWhole } from '../e2e/support/holds-whole.ts';
import { admissionTopology, ADMISSIONS, policiesOf, type Admission } from './support/admissions.ts';

t.setTimeout(3_600_000);

const MESHED = join(import.meta.dirname, '..', '..', 'topologies', 'network-policy.yaml');
/** Long enough for a busy machine; what is dropped waits as long. */
const TIMEOUT_MS = 4_000;

for (const cni of CNI_NAMES) {
  for (const networkPolicy of NETWORK_POLICY_FLAVOURS) {
    t.test(`who gets in and out, on ${cni}, by ${networkPolicy}, in both families`, async (t) => {
      const topology = { ...admissionTopology(), networkPolicy };
      const plan = planLab(topology, { lab: `t${process.pid}np-${cni}-${networkPolicy}`, cni });
      await using lab = await createLab(plan);
      await askAll(t, lab, 'without a policy', () => true);
      for (const policy of policiesOf(plan)) await lab.changePolicies({ kind: 'apply', policy });
      t.same(await lab.drift(), [], 'the rules are what the policies say');
      await askAll(t, lab, 'with its policy', ({ isAdmitted }) => isAdmitted);
      for (const { metadata } of policiesOf(plan)) {
        await lab.changePolicies({ kind: 'delete', namespace: 'a', name: metadata.name });
      }
      t.same(await lab.policyRules('node2'), [], 'no rule is left');
      await askAll(t, lab, 'without it again', () => true);
    });
  }
}

/** All questions in both families at once. */
async function askAll(
  t: Test,
  lab: Lab,
  when: string,
  isWished: (admission: Admission) => boolean,
): Promise<void> {
  const families: readonly IpFamily[] = ['IPv4', 'IPv6'];
  for (const ipFamily of families) {
    const asked = await Promise.all(
      ADMISSIONS.map(async (admission) => {
        const { from, to } = admission;
        const request = { from, to, ipFamily, count: 1 };
        const { outcome } = await lab.request(request, { timeoutMs: TIMEOUT_MS });
        return { admission, outcome };
      }),
    );
    for (const { admission, outcome } of asked) {
      const { from, to, why } = admission;
      const wished = isWished(admission) ? 'ok' : 'timeout';
      t.equal(outcome, wished, `${ipFamily} ${when}: ${from} → ${to}: ${why}`);
    }
  }
}

for (const era of ERAS) {
  for (const cni of CNI_NAMES) {
    for (const networkPolicy of NETWORK_POLICY_FLAVOURS) {
      // Istio 1.18 to 1.20 gave up on a bridge. On vxlan its mark for all UDP stays on what is unwrapped
      // from the overlay, which then passes ztunnel by: claim cni-03 and `cni.test.ts` show that.
      if (era === 'geneve' && cni !== 'ptp') continue;
      t.test(`port 15008 and policies in ${era} on ${cni}, by ${networkPolicy}`, async (t) => {
        const name = `t${process.pid}nm-${era.replace('inpod-', '')}-${cni}-${networkPolicy}`;
        const topology = { ...loadTopology(MESHED), networkPolicy };
        const plan = planLab(topology, { lab: name, era, cni });
        await using lab = await createLab(plan);
        await holdsWhole(t, lab, { timeoutMs: TIMEOUT_MS });
        t.same(await lab.drift(), [], 'the kernel has what was planned');
      });
    }
  }
}
