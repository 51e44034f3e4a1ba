import { join } from 'node:path';
import t from 'tap';
import { compareEra, missingForBoth } from '../support/era-in-uml.ts';
import { missingForUml, runInUml } from '../support/uml.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const TIMEOUT_MS = 120_000;

const lacking = missingForUml();
const needsUml = lacking === undefined ? {} : { skip: lacking };
const missing = await missingForBoth();
const needsBoth = missing === undefined ? {} : { skip: missing };

t.setTimeout(300_000);

t.test("the kernel's geneve device passes what the fall-back passes", needsUml, async (t) => {
  using run = await runInUml(
    `cd ${ROOT} && exec node --import=tsx test/netns/tunnels.test.ts`,
    { timeoutMs: TIMEOUT_MS },
  );
  t.equal(run.exitCode, 0, 'all of test/netns/tunnels.test.ts');
  if (run.exitCode !== 0) t.comment(run.console + run.stdout + run.stderr);
  t.match(run.stdout, /^ok \d+ - ensureTunnel\(\) puts true Geneve on the wire/m);
  t.notMatch(run.stdout, /^\s*not ok/m);
});

t.test('era geneve on two nodes is the same with the geneve device', needsBoth, async (t) => {
  await compareEra(t, 'two-nodes.yaml');
});
