import t from 'tap';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import { renderLadder } from '../../lab/report/ladder.ts';
import { observe } from '../../lab/run/observe.ts';
import { runScenarios } from '../../lab/run/run-scenarios.ts';
import { scratchDirectory, startLab, TESTED_ERAS } from './support/lab.ts';

for (const era of TESTED_ERAS) {
  t.test(`every scenario of the pairs holds in era ${era}`, async (t) => {
    await using lab = await startLab('pairs.yaml', era);
    await using scratch = await scratchDirectory();
    const { scenarios } = lab.plan;
    const { facts } = await observe(lab, { directory: scratch.path }, () =>
      runScenarios(lab, scenarios),
    );
    t.same(facts.problems, [], 'the recording is whole');
    t.ok(
      facts.interfaces.some(({ frames }) => frames > 100),
      'packets were recorded',
    );
    for (const scenario of scenarios) {
      const verdict = judgeScenario(scenario, facts);
      const isGood = verdict.outcome === 'holds' && verdict.checks.length > 0;
      t.ok(
        isGood,
        scenario.name,
        isGood ? {} : { ladder: renderLadder(facts, verdict, { color: false, width: 120 }) },
      );
    }
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
