import t from 'tap';
import { startLab, TESTED_ERAS } from './support/lab.ts';
import { holdsWhole } from './support/holds-whole.ts';

for (const era of TESTED_ERAS) {
  t.test(`every scenario of the pairs holds in era ${era}`, async (t) => {
    await using lab = await startLab('pairs.yaml', era);
    const facts = await holdsWhole(t, lab);
    t.ok(
      facts.interfaces.some(({ frames }) => frames > 100),
      'packets were recorded',
    );
    const tunnels = facts.connections.filter(({ server }) => server.endsWith(':15008'));
    const toFar = tunnels.filter(({ server }) => server.startsWith(addressOfFar(lab.plan.pods)));
    t.equal(toFar.length, 1, 'all requests of one client to one pod went over one tunnel');
  });
}

function addressOfFar(
  pods: readonly { readonly name: string; readonly address: string }[],
): string {
  return pods.find(({ name }) => name === 'far')?.address ?? 'no pod far';
}
