import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunFacts } from '../facts/facts.ts';
import { finishInPlace } from '../world/in-place.ts';
import type { Outcome } from '../judge/verdict.ts';
import { observe } from '../run/observe.ts';
import type { Lab } from '../world/lab.ts';
import type { Claim, ClaimEra, Finding } from './claim.ts';
import { expectedOutcome } from './claim.ts';
import { ClaimWorld } from './claim-world.ts';
import { couldNotRun, EvidenceMissing } from './finding.ts';
import { isUnknownParty, makeRequests, REQUEST_TIMEOUT_MS } from './make-requests.ts';
import { CLAIM_ACTIONS, CLAIM_REQUESTS } from './requests.ts';

/** Version of the JSON in `claims.json`. */
export const CLAIMS_SCHEMA = 'ambient-lab/claims/1';

/** One claim in one era. */
export interface ClaimResult extends Finding {
  readonly id: string;
  readonly statement: string;
  readonly source: string;
  readonly era: ClaimEra;
  readonly expected: Outcome;
  /** Why something else than *holds* is expected. */
  readonly because?: string;
  readonly asExpected: boolean;
  readonly durationMs: number;
}

export interface RunClaimsOptions {
  readonly directory: string;
  /** What the results are told of; the era of the lab unless given. */
  readonly era?: ClaimEra;
  readonly signal?: AbortSignal;
  readonly onClaim?: (result: ClaimResult) => void;
}

/**
 * Settles claims in a running lab of one era: makes the requests that any of them reads, in one
 * recording, asks the claims that only look, then those that change the lab, one after the other.
 * A check that throws is a fault of ours and is thrown, unless it lacks evidence.
 */
export async function runClaims(
  lab: Lab,
  claims: readonly Claim[],
  options: RunClaimsOptions,
): Promise<readonly ClaimResult[]> {
  const checkable = claims.filter(({ check }) => check !== undefined);
  const facts = await recordRequests(lab, checkable, options);
  const { era = lab.plan.era } = options;
  const world = new ClaimWorld(lab, options.directory, facts, era);
  const results = new Map<string, ClaimResult>();
  const asked = new Map<Claim['check'], Finding>();
  const looking = claims.filter(({ changesLab }) => changesLab !== true);
  const changing = claims.filter(({ changesLab }) => changesLab === true);
  for (const claim of [...looking, ...changing]) {
    options.signal?.throwIfAborted();
    const startedMs = performance.now();
    // What two sources say in other words is looked at once.
    const finding = asked.get(claim.check) ?? (await ask(claim, world));
    if (claim.check !== undefined) asked.set(claim.check, finding);
    const durationMs = Math.round(performance.now() - startedMs);
    const result = resultOf(claim, era, finding, durationMs);
    results.set(claim.id, result);
    options.onClaim?.(result);
  }
  return claims.flatMap(({ id }) => results.get(id) ?? []);
}

/** Results of claims in an era that no lab was built for: none is assumed. */
export function unsettled(claims: readonly Claim[], era: ClaimEra): readonly ClaimResult[] {
  return claims.map((claim) =>
    resultOf({ ...claim, expected: undefined, needs: claim.needs ?? `a lab of era ${era}` }, era),
  );
}

/** Leaves what the requests came to as facts; undefined when no claim reads any. */
async function recordRequests(
  lab: Lab,
  claims: readonly Claim[],
  { directory, signal }: RunClaimsOptions,
): Promise<RunFacts | undefined> {
  const names = new Set(claims.flatMap(({ requests }) => requests ?? []));
  const actions = new Set(claims.flatMap((claim) => claim.actions ?? []));
  if (names.size + actions.size === 0) return undefined;
  const { facts } = await observe(lab, { directory, snapLength: 0, signal }, async () => {
    const wanted = [...names].map((name) => [name, CLAIM_REQUESTS[name]] as const);
    const made = await makeRequests(lab, Object.fromEntries(wanted));
    for (const name of actions) await act(lab, CLAIM_ACTIONS[name]);
    return made;
  });
  return facts;
}

async function act(
  lab: Lab,
  action: { readonly in: string; readonly argv: readonly string[] },
): Promise<void> {
  await finishInPlace(lab, action.in, action.argv, { timeoutMs: REQUEST_TIMEOUT_MS });
}

async function ask(claim: Claim, world: ClaimWorld): Promise<Finding> {
  if (claim.check === undefined) return couldNotRun(claim.needs ?? 'a check');
  try {
    return await claim.check(world);
  } catch (error) {
    if (error instanceof EvidenceMissing) return couldNotRun(error.needs);
    if (isUnknownParty(error)) return couldNotRun((error as Error).message);
    throw error;
  }
}

function resultOf(
  claim: Claim,
  era: ClaimEra,
  finding: Finding = couldNotRun(claim.needs ?? 'a check'),
  durationMs = 0,
): ClaimResult {
  const known = expectedOutcome(claim, era);
  const expected = known?.outcome ?? (claim.needs === undefined ? 'holds' : 'could not run');
  const { id, statement, source } = claim;
  const asExpected = finding.outcome === expected;
  const because = known === undefined ? {} : { because: known.because };
  return { id, statement, source, era, ...finding, expected, ...because, asExpected, durationMs };
}

/** Leaves `claims.json`, `claims.xml` and `claims.md` in a directory. */
export async function writeClaims(
  directory: string,
  texts: Readonly<Record<'claims.json' | 'claims.xml' | 'claims.md', string>>,
): Promise<void> {
  const files = Object.entries(texts);
  await Promise.all(files.map(([name, text]) => writeFile(join(directory, name), text)));
}
