import type { Test } from 'tap';
import type { RunFacts } from '../../../lab/facts/facts.ts';
import { judgeScenario } from '../../../lab/judge/judge-scenario.ts';
import { renderLadder } from '../../../lab/report/ladder.ts';
import { observe } from '../../../lab/run/observe.ts';
import { runScenarios } from '../../../lab/run/run-scenarios.ts';
import type { Lab } from '../../../lab/world/lab.ts';
import { scratchDirectory } from './lab.ts';

/** Runs every scenario of a lab, and looks whether each holds with something to judge. */
export async function holdsWhole(t: Test, lab: Lab): Promise<RunFacts> {
  await using scratch = await scratchDirectory();
  const { scenarios } = lab.plan;
  const { facts } = await observe(lab, { directory: scratch.path }, () =>
    runScenarios(lab, scenarios),
  );
  t.same(facts.problems, [], 'the recording is whole');
  for (const scenario of scenarios) {
    const verdict = judgeScenario(scenario, facts);
    const isGood = verdict.outcome === 'holds' && verdict.checks.length > 0;
    const shown = (): string => renderLadder(facts, verdict, { color: false, width: 120 });
    t.ok(isGood, scenario.name, isGood ? {} : { ladder: shown() });
  }
  return facts;
}
