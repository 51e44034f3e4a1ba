import t from 'tap';
import { execIn, peerIn, startLab, TESTED_ERAS } from './support/lab.ts';

type Answers = Record<string, { readonly answer: readonly string[] | string; readonly ms: number }>;

for (const era of TESTED_ERAS) {
  t.test(`names resolve in pods inside the mesh and outside in era ${era}`, async (t) => {
    await using lab = await startLab('pairs.yaml', era, 'n');
    const service = lab.plan.services.find(({ name }) => name === 'far');
    const full = 'far.demo.svc.cluster.local';

    for (const pod of ['client', 'bystander']) {
      const answers = await peerIn<Answers>(lab, pod, 'resolve', {
        names: [full, 'no-such-name.example.org'],
      });
      t.same(answers[full]?.answer, [service?.vip], `${pod} gets the address of the service`);
      const unknown = answers['no-such-name.example.org'];
      t.equal(unknown?.answer, 'ENOTFOUND', `${pod} is told that a foreign name is not known`);
      t.ok((unknown?.ms ?? Infinity) < 2_500, `${pod} is told so, and does not wait for nobody`);
      for (const name of ['far.demo', 'far.demo.svc', full]) {
        const found = await execIn(lab, pod, ['getent', 'ahostsv4', name]);
        t.match(found.stdout, service?.vip ?? 'no VIP', `${pod} finds ${name} as programs do`);
      }
    }
    const short = await execIn(lab, 'client', ['getent', 'ahostsv4', 'far']);
    t.match(
      short.stdout,
      service?.vip ?? 'no VIP',
      "a name alone means the client's own namespace",
    );
    const foreign = await execIn(lab, 'bystander', ['getent', 'ahostsv4', 'far']);
    t.not(foreign.exitCode, 0, 'which another namespace does not share');
  });
}
