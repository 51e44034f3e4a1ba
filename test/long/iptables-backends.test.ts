import { join } from 'node:path';
import t from 'tap';
import { IPTABLES_BACKENDS, type Era } from '../../dataplane/redirect/era.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { isDrifted, readRules } from '../../lab/run/read-rules.ts';
import { createLab } from '../../lab/world/client.ts';
import { loadTopology } from '../../topologies/load.ts';
import { execIn } from '../e2e/support/lab.ts';
import { holdsWhole } from '../e2e/support/holds-whole.ts';

t.setTimeout(1_200_000);

const PAIRS = join(import.meta.dirname, '..', 'fixtures', 'topologies', 'pairs.yaml');
/** Where the rules of an era are, and what its chains begin with. */
const PLACES = [
  ['inpod-tproxy', 'client', /-N ISTIO_|:ISTIO_/],
  ['inpod-redirect', 'client', /-N ISTIO_|:ISTIO_/],
  ['geneve', 'node1', /:ztunnel-/],
] as const satisfies readonly (readonly [Era, string, RegExp])[];

for (const [era, place, chains] of PLACES) {
  for (const iptables of IPTABLES_BACKENDS) {
    t.test(`every scenario of the pairs holds in ${era} with iptables ${iptables}`, async (t) => {
      const lab = `t${process.pid}ib-${era.replace('inpod-', '')}-${iptables}`;
      const plan = planLab(loadTopology(PAIRS), { lab, era, iptables });
      await using running = await createLab(plan);
      await holdsWhole(t, running);
      const saved = async (program: string): Promise<string> =>
        (await execIn(running, place, [program])).stdout;
      const other = iptables === 'nft' ? 'legacy' : 'nft';
      t.match(await saved(`iptables-${iptables}-save`), chains, `the rules are in ${iptables}`);
      t.notMatch(await saved(`iptables-${other}-save`), chains, `and not in ${other}`);
      t.notOk(isDrifted(await readRules(running, place)), 'they are as the era wants them');
      t.same(await running.drift(), [], 'the kernel has what was planned');
    });
  }
}
