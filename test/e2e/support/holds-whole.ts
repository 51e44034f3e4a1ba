import type { Test } from 'tap';
import type { RunFacts } from '../../../lab/facts/facts.ts';
import { judgeScenario } from '../../../lab/judge/judge-scenario.ts';
import { renderLadder } from '../../../lab/report/ladder.ts';
import { observe } from '../../../lab/run/observe.ts';
import { runScenarios, type ScenarioEvents } from '../../../lab/run/run-scenarios.ts';
import type { Lab } from '../../../lab/world/lab.ts';
import type { Scenario } from '../../../topologies/topology.ts';
import { scratchDirectory } from './lab.ts';

export interface HoldsOptions extends Pick<ScenarioEvents, 'timeoutMs'> {
  /** Those of the lab's topology when absent. */
  readonly scenarios?: readonly Scenario[];
}

/**
 * Runs scenarios of a lab one after the other while all of it is recorded, and looks whether each
 * holds with something to judge; of one that does not the ladder is shown.
 */
export async function holdsWhole(
  t: Test,
  lab: Lab,
  { scenarios = lab.plan.scenarios, ...events }: HoldsOptions = {},
): Promise<RunFacts> {
  await using scratch = await scratchDirectory();
  const { facts } = await observe(lab, { directory: scratch.path }, () =>
    runScenarios(lab, scenarios, events),
  );
  t.ok(scenarios.length > 0, 'there are scenarios');
  t.same(facts.problems, [], 'the recording is whole');
  for (const scenario of scenarios) {
    const verdict = judgeScenario(scenario, facts);
    const isGood = verdict.outcome === 'holds' && verdict.checks.length > 0;
    const shown = (): string => renderLadder(facts, verdict, { color: false, width: 120 });
    t.ok(isGood, scenario.name, isGood ? {} : { ladder: shown() });
  }
  return facts;
}
