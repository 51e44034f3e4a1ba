import { parseRequestTarget } from '../../topologies/request-target.ts';
import type { Scenario } from '../../topologies/topology.ts';
import type { RequestResult } from '../facts/request.ts';
import type { Plan } from '../plan/plan.ts';
import { runScenarios } from '../run/run-scenarios.ts';
import type { Lab } from '../world/lab.ts';

export interface MakeOptions {
  /** Ask services of several replicas so often that each has answered. */
  readonly isThorough: boolean;
  /** For how long nothing must have been written of legs before a step of a scenario. */
  readonly quietMs: number;
  readonly signal?: AbortSignal;
}

/** Of three replicas each has answered once in so many requests, but for one time in a million. */
const THOROUGH_REQUESTS = 40;
/** Requests made at once then: some may end by a time-out. */
const AT_ONCE = 8;

/** Makes the requests of the scenarios in their order, as `run` does. */
export async function makeRequests(
  lab: Lab,
  scenarios: readonly Scenario[],
  { isThorough, quietMs, signal }: MakeOptions,
): Promise<readonly RequestResult[]> {
  const results: RequestResult[] = [];
  for (const scenario of scenarios) {
    results.push(...(await runScenarios(lab, [scenario], { quietMs }, signal)));
    if (!isThorough || !hasReplicas(lab.plan, scenario)) continue;
    for (let made = 1; made < THOROUGH_REQUESTS; made += AT_ONCE) {
      const again = { ...scenario, before: [] };
      const more = Array.from({ length: AT_ONCE }, () => runScenarios(lab, [again], {}, signal));
      results.push(...(await Promise.all(more)).flat());
    }
  }
  return results;
}

/** Whether chance decides who answers: asked for by name or node port, and some service has several. */
function hasReplicas({ services }: Plan, { request }: Scenario): boolean {
  const target = parseRequestTarget(request.to);
  if (typeof target === 'string' || target.host.kind === 'pod') return false;
  return services.some(({ endpoints }) => endpoints.length > 1);
}
