import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Era } from '../../dataplane/redirect/era.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { isDrifted, readRules } from '../../lab/run/read-rules.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import { loadTopology, parseTopology } from '../../topologies/load.ts';
import { holdsWhole } from './support/holds-whole.ts';
import { accessLog, execIn, peerIn, TESTED_ERAS } from './support/lab.ts';

const TOPOLOGIES = join(import.meta.dirname, '../../topologies');
const PROBE = 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff';

type Answers = Record<string, { readonly answer: readonly string[] | string }>;

function nameOf(kind: string, era: Era): string {
  return `t${process.pid}${kind}-${era.replace('inpod-', '')}`;
}

/** Every scenario holds, and some of them go to IPv6 addresses. */
async function holdsInBoth(t: Test, lab: Lab): Promise<void> {
  const facts = await holdsWhole(t, lab);
  const authorities = facts.paths.flatMap(({ legs }) =>
    legs.flatMap(({ hbone }) => (hbone === undefined ? [] : [hbone.stream.authority])),
  );
  t.ok(
    authorities.some((authority) => /^\[fd00:10:244:[\da-f:]+\]:8080$/.test(authority ?? '')),
    'CONNECT names an IPv6 address in brackets',
  );
}

for (const era of TESTED_ERAS) {
  t.test(`both families are in the mesh in era ${era}`, async (t) => {
    const topology = loadTopology(join(TOPOLOGIES, 'dual-stack.yaml'));
    await using lab = await createLab(planLab(topology, { lab: nameOf('d', era), era }));
    t.same(await lab.drift(), [], 'the kernel has what was planned, of both families');
    await holdsInBoth(t, lab);
    for (const place of ['sleep', 'node1']) {
      const reading = await readRules(lab, place);
      t.notOk(isDrifted(reading), `${place} has the rules of the era in both families`);
      const steps = reading.ipv6?.walks.flatMap((walk) => walk.steps) ?? [];
      t.ok(era === 'inpod-nft' || steps.some(({ why }) => why !== undefined), 'with reasons');
    }
    const routing = await execIn(lab, 'sleep', ['ip', '-6', 'rule', 'del', 'pref', '32764']);
    t.equal(routing.exitCode, 0);
    t.ok(isDrifted(await readRules(lab, 'sleep')), 'a missing policy rule of IPv6 is seen');
    const full = 'httpbin.demo.svc.cluster.local';
    for (const pod of ['sleep', 'legacy']) {
      const options = { names: [full], family: 6 };
      const answers = await peerIn<Answers>(lab, pod, 'resolve', options);
      t.same(answers[full]?.answer, ['fd00:10:96::101'], `${pod} is told the AAAA record`);
      const both = await execIn(lab, pod, ['getent', 'ahosts', full]);
      t.match(both.stdout, /10\.96\.1\.1/, `${pod} finds the IPv4 address as programs do`);
      t.match(both.stdout, /fd00:10:96::101/, `${pod} finds the IPv6 address as programs do`);
    }
    const lines = await accessLog(lab, 'node2');
    t.ok(
      lines.some((line) => line.includes('src.addr=[fd00:10:244:1::4]:')),
      'the access log writes IPv6 in brackets',
    );
  });
}

t.test('a lab of IPv6 alone encrypts as well', async (t) => {
  const era = 'inpod-redirect';
  const text = readFileSync(join(TOPOLOGIES, 'two-nodes.yaml'), 'utf8')
    .replace('name: two-nodes', 'name: two-nodes\nipFamilies: [IPv6]')
    .replace('source: 169.254.7.127', `source: ${PROBE}`);
  const topology = parseTopology(text, join(TOPOLOGIES, 'two-nodes-ipv6.yaml'));
  await using lab = await createLab(planLab(topology, { lab: nameOf('6', era), era }));
  const { stdout } = await execIn(lab, 'sleep', ['ip', '-4', 'addr', 'show', 'dev', 'eth0']);
  t.equal(stdout, '', 'pods have no IPv4 address');
  await holdsWhole(t, lab);
});
