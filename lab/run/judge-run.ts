import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scenario } from '../../topologies/topology.ts';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { couldNotJudge, judgeScenario } from '../judge/judge-scenario.ts';
import { type RunVerdict, VERDICT_SCHEMA, worstOutcome } from '../judge/verdict.ts';
import { renderJunit } from '../report/junit.ts';
import type { Observation } from './observe.ts';

/**
 * Judges every scenario on what was observed, and leaves `verdict.json` and `junit.xml` beside it.
 * Scenarios whose requests were not made are named in `notMade`, with what they need.
 */
export async function judgeRun(
  observation: Observation,
  scenarios: readonly Scenario[],
  notMade: ReadonlyMap<string, string> = new Map(),
): Promise<RunVerdict> {
  const judged = scenarios.map((scenario) => {
    const needs = notMade.get(scenario.name);
    return needs === undefined
      ? judgeScenario(scenario, observation.facts)
      : couldNotJudge(scenario, needs);
  });
  const verdict: RunVerdict = {
    schema: VERDICT_SCHEMA,
    lab: observation.facts.lab,
    ...(observation.facts.tunnels && { tunnels: observation.facts.tunnels }),
    outcome: worstOutcome(judged.map(({ outcome }) => outcome)),
    scenarios: judged,
  };
  const { directory } = observation;
  await writeFile(join(directory, CAPTURE_FILES.verdict), JSON.stringify(verdict, null, 2));
  await writeFile(join(directory, CAPTURE_FILES.junit), renderJunit(verdict, observation.facts));
  return verdict;
}
