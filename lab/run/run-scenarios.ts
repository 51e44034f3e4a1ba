import type { Scenario, ScenarioStep } from '../../topologies/topology.ts';
import { examine } from '../diagnose/examine.ts';
import type { RequestResult } from '../facts/request.ts';
import { breakLab, mendLab, refusalOf } from '../faults/break-lab.ts';
import type { Lab, RequestReport } from '../world/lab.ts';
import { labPaths } from '../world/paths.ts';
import { settle } from './settle.ts';

/** What is told while scenarios run, and how long their clients wait. */
export interface ScenarioEvents {
  /** Of each request; as the clients have it when absent. */
  readonly timeoutMs?: number;
  /** For how long nothing must have been written of legs before a step is taken; 60 unless given. */
  readonly quietMs?: number;
  readonly onScenario?: (scenario: Scenario, index: number) => void;
  /** Its request is not made: the lab cannot have a fault that it asks for. */
  readonly onSkipped?: (scenario: Scenario, reason: string) => void;
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
    const reason = impossibleIn(lab, scenario);
    // A step that cuts connections must not meet those that a request before is still closing.
    if (scenario.before.length > 0) await untilQuiet(lab, events);
    for (const step of scenario.before) {
      if (!isRefused(lab, step)) await takeStep(lab, step);
    }
    if (reason !== undefined) {
      events.onSkipped?.(scenario, reason);
      continue;
    }
    for (let made = 0; made < scenario.request.count; made++) {
      const { timeoutMs } = events;
      const options = { name: scenario.name, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
      const report = await lab.request(scenario.request, options);
      events.onRequest?.(scenario, report);
      const findings = scenario.expect.findings && (await findingsOf(lab));
      results.push({ ...withoutBody(report), ...(findings && { findings }) });
    }
  }
  return results;
}

async function untilQuiet(lab: Lab, { quietMs = 60 }: ScenarioEvents): Promise<void> {
  await settle(labPaths(lab.name).legs, { quietMs, timeoutMs: 2_000 });
}

/** Why a scenario has nothing to ask in this lab. */
function impossibleIn(lab: Lab, { before }: Scenario): string | undefined {
  const broken = before.find((step) => step.kind === 'break' && isRefused(lab, step));
  if (broken?.kind !== 'break') return undefined;
  return `no fault "${broken.fault}" in era "${lab.plan.era}": ${refusalOf(broken.fault, lab.plan)}`;
}

function isRefused(lab: Lab, step: ScenarioStep): boolean {
  if (step.kind !== 'break' && step.kind !== 'mend') return false;
  return refusalOf(step.fault, lab.plan) !== undefined;
}

async function takeStep(lab: Lab, step: ScenarioStep): Promise<void> {
  switch (step.kind) {
    case 'enrol':
      await lab.enrol(step.pod);
      return;
    case 'leave':
      await lab.leave(step.pod);
      return;
    case 'break':
      await breakLab(lab, step.fault, step.at);
      return;
    case 'mend':
      await mendLab(lab, step.fault, step.at);
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

/** What is wrong now, by the diagnosis, which is not told of any step. */
async function findingsOf(lab: Lab): Promise<RequestResult['findings']> {
  const { findings } = await examine(lab);
  return findings.map(({ cause, at }) => ({ cause, at }));
}

function withoutBody(report: RequestReport): RequestResult {
  const { body: _body, durationMs: _durationMs, ...result } = report;
  return result;
}
