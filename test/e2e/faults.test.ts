import { join } from 'node:path';
import t, { type Test } from 'tap';
import { diagnose } from '../../lab/diagnose/diagnose.ts';
import { readEvidence } from '../../lab/diagnose/read-evidence.ts';
import { breakLab, brokenIn, mendAll, mendLab } from '../../lab/faults/break-lab.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import type { FaultName } from '../../topologies/fault-names.ts';
import { loadTopology } from '../../topologies/load.ts';
import { changesBetween, kernelState } from './support/kernel-state.ts';
import { execIn } from './support/lab.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.setTimeout(300_000);

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'faults.yaml');

interface Case {
  readonly fault: FaultName;
  readonly where: string;
  /** What a person at the pod sees. */
  readonly symptom: (t: Test, lab: Lab) => Promise<void>;
  /** What the evidence has to hold. */
  readonly evidence: RegExp;
}

const CASES: readonly Case[] = [
  {
    fault: 'rules-missing',
    where: 'demo/client',
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', 'http://far.demo:8000/get'), '200');
      t.match(await curl(lab, 'client', 'http://strict.demo:8000/get'), /curl 5[26]/);
    },
    evidence: /missing +nat OUTPUT: -j ISTIO_OUTPUT/,
  },
  {
    fault: 'ztunnel-not-told',
    where: 'demo/client',
    symptom: async (t, lab) => {
      t.equal(await curl(lab, 'client', 'http://10.244.2.3:8080/get'), 'curl 7');
    },
    evidence: /none is the pod's net:\[\d+\]/,
  },
];

t.test('break, diagnose and mend every fault in one lab', async (t) => {
  const plan = planLab(loadTopology(TOPOLOGY), { lab: `t${process.pid}-faults` });
  await using lab = await createLab(plan);
  t.equal(await curl(lab, 'client', 'http://far.demo:8000/get'), '200', 'control: a request');
  t.equal(await curl(lab, 'client', 'http://strict.demo:8000/get'), '200', 'control: with mTLS');
  t.same(await findings(lab), [], 'nothing is found in a healthy lab');
  const healthy = await kernelState(lab);
  for (const each of CASES) {
    await t.test(`${each.fault} at ${each.where}`, async (t) => {
      const made = await breakLab(lab, each.fault, each.where);
      t.match(made, { fault: each.fault, at: each.where });
      await each.symptom(t, lab);
      const found = diagnose(await readEvidence(lab));
      t.same(
        found.map(({ cause, at }) => ({ cause, at })),
        [{ cause: each.fault, at: each.where }],
        'exactly this is found',
      );
      t.match(found[0]?.evidence.join('\n'), each.evidence, 'with what was read');
      await mendLab(lab, each.fault);
      t.same(await findings(lab), [], 'nothing is found when it is mended');
      t.same(changesBetween(healthy, await kernelState(lab)), [], 'the kernel has what it had');
      t.equal(await curl(lab, 'client', 'http://strict.demo:8000/get'), '200', 'requests work');
    });
  }
  await t.test('break and mend refuse what makes no sense', (t) => refuse(t, lab));
});

async function refuse(t: Test, lab: Lab): Promise<void> {
  const code = (code: string, message: RegExp) => ({ code, message });
  await t.rejects(breakLab(lab, 'rules-mising'), {
    code: 'LAB_UNKNOWN_FAULT',
    hint: 'Did you mean "rules-missing"?',
  });
  await t.rejects(mendLab(lab, 'rules-missing'), code('LAB_NO_SUCH_FAULT', /not broken/));
  await t.rejects(
    breakLab(lab, 'rules-missing', 'clinet'),
    code('LAB_UNKNOWN_POD', /did you mean "client"/),
  );
  await t.rejects(
    breakLab(lab, 'rules-missing', 'legacy/plain'),
    code('LAB_BAD_FAULT_PLACE', /not enrolled/),
  );
  await breakLab(lab, 'rules-missing', 'client');
  await breakLab(lab, 'rules-missing', 'far');
  const again = breakLab(lab, 'rules-missing', 'client');
  await t.rejects(again, code('LAB_BAD_FAULT', /broken there already/));
  const other = breakLab(lab, 'ztunnel-not-told', 'client');
  await t.rejects(other, code('LAB_BAD_FAULT', /"rules-missing" is broken there/));
  const which = mendLab(lab, 'rules-missing');
  await t.rejects(which, code('LAB_BAD_FAULT_PLACE', /demo\/client, demo\/far/));
  await mendAll(lab);
  t.same(await brokenIn(lab), []);
}

async function findings(lab: Lab): Promise<readonly unknown[]> {
  return diagnose(await readEvidence(lab));
}

/** The status, or curl's exit code. */
async function curl(lab: Lab, from: string, url: string): Promise<string> {
  const argv = [
    'curl',
    '-sS',
    '-g',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '--max-time',
    '2',
    url,
  ];
  const done = await execIn(lab, from, argv);
  return done.exitCode === 0 ? done.stdout : `curl ${done.exitCode}`;
}
