import { join } from 'node:path';
import t from 'tap';
import type { Era, IptablesBackend } from '../../dataplane/redirect/era.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import type { CniName } from '../../topologies/cni.ts';
import { loadTopology } from '../../topologies/load.ts';
import { FAULT_CASES, tryFaults } from '../e2e/support/faults.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.setTimeout(900_000);

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'faults', 'in-pod.yaml');

interface Variant {
  readonly era: Era;
  readonly cni?: CniName;
  readonly iptables?: IptablesBackend;
}

const VARIANTS: readonly Variant[] = [
  { era: 'inpod-redirect' },
  { era: 'inpod-tproxy' },
  { era: 'inpod-nft' },
  { era: 'inpod-redirect', iptables: 'legacy', cni: 'bridge' },
];

for (const variant of VARIANTS) {
  const words = Object.values(variant).join(', ');
  t.test(`every fault is found and mended with ${words}`, async (t) => {
    const name = `t${process.pid}-${Object.values(variant).join('-').replace('inpod-', '')}`;
    await using lab = await createLab(planLab(loadTopology(TOPOLOGY), { lab: name, ...variant }));
    await tryFaults(t, lab, FAULT_CASES);
  });
}
