import type { ScenarioRequest } from '../../topologies/topology.ts';
import type { RequestResult } from '../facts/request.ts';
import { PlanError } from '../plan/errors.ts';
import type { Lab, RequestReport } from '../world/lab.ts';

export const REQUEST_TIMEOUT_MS = 5_000;

/**
 * Makes requests, by name, one after the other. A topology of the user's own may lack a pod: claims
 * that read such a request lack it then.
 */
export async function makeRequests(
  lab: Lab,
  requests: Readonly<Record<string, ScenarioRequest>>,
): Promise<readonly RequestResult[]> {
  const made: RequestResult[] = [];
  for (const [name, request] of Object.entries(requests)) {
    try {
      for (let count = 0; count < request.count; count++) {
        made.push(withoutBody(await lab.request(request, { name, timeoutMs: REQUEST_TIMEOUT_MS })));
      }
    } catch (error) {
      if (!isUnknownParty(error)) throw error;
    }
  }
  return made;
}

/** Errors of the lab's supervisor come over its socket as data: only their code tells. */
export function isUnknownParty(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return error instanceof PlanError || code.startsWith('LAB_UNKNOWN_') || code === 'LAB_BAD_TARGET';
}

function withoutBody({ body: _body, durationMs: _ms, ...result }: RequestReport): RequestResult {
  return result;
}
