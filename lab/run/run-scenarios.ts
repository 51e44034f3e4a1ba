import type { Scenario, ScenarioStep } from '../../topologies/topology.ts';
import type { RequestResult } from '../facts/request.ts';
import type { Lab, RequestReport } from '../world/lab.ts';

/** What is told while scenarios run, and how long their clients wait. */
export interface ScenarioEvents {
  /** Of each request; as the clients have it when absent. */
  readonly timeoutMs?: number;
  readonly onScenario?: (scenario: Scenario, index: number) => void;
  readonly onRequest?: (scenario: Scenario, report: RequestReport) => void;
}

/**
 * Takes the steps of each scenario and makes its requests, one after the other, in a running lab.
 * Results are in the order of the requests; each carries the name of its scenario.
 */
export async function runScenarios(
  lab: Lab,
  scenarios: readonly Scenario[],
  events: ScenarioEvents = {},
  signal?: AbortSignal,
): Promise<readonly RequestResult[]> {
  const results: RequestResult[] = [];
  for (const [index, scenario] of scenarios.entries()) {
    signal?.throwIfAborted();
    events.onScenario?.(scenario, index);
    for (const step of scenario.before) await takeStep(lab, step);
    for (let made = 0; made < scenario.request.count; made++) {
      const { timeoutMs } = events;
      const options = { name: scenario.name, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
      const report = await lab.request(scenario.request, options);
      events.onRequest?.(scenario, report);
      results.push(withoutBody(report));
    }
  }
  return results;
}

async function takeStep(lab: Lab, step: ScenarioStep): Promise<void> {
  switch (step.kind) {
    case 'enrol':
      await lab.enrol(step.pod);
      return;
    case 'leave':
      await lab.leave(step.pod);
      return;
    case 'apply':
      for (const policy of step.policies) await lab.changePolicies({ kind: 'apply', policy });
      return;
    case 'delete':
    case 'label':
      await lab.changePolicies(step);
      return;
  }
}

function withoutBody(report: RequestReport): RequestResult {
  const { body: _body, durationMs: _durationMs, ...result } = report;
  return result;
}
