import type { Expectations, Scenario } from '../../topologies/topology.ts';
import type { Path, RunFacts } from '../facts/facts.ts';
import { checkOutcome, checkSource, checkStatus } from './check-client.ts';
import { checkEncryptedBetween, checkPlainBetween } from './check-encryption.ts';
import { checkFindings } from './check-findings.ts';
import { checkHops, checkLegs, checkPasses, checkQuiet } from './check-path.ts';
import { checkIdentities, checkSecurity } from './check-security.ts';
import { couldNotRun } from './evidence.ts';
import type { Check, ScenarioVerdict } from './verdict.ts';
import { worstOutcome } from './verdict.ts';

/**
 * Holds every expectation of a scenario against each of its requests. One check an expectation:
 * with several requests, the first that does not hold speaks for all. A scenario that expects
 * nothing has no checks and is *could not run*: nothing was proven.
 */
export function judgeScenario(scenario: Scenario, facts: RunFacts): ScenarioVerdict {
  const paths = pathsOf(scenario, facts);
  const checks = CHECKS.flatMap((check) => {
    if (!check.isWanted(scenario.expect)) return [];
    if (paths.length < Math.max(1, scenario.request.count)) {
      const needs = `${scenario.request.count} requests, ${paths.length} were made`;
      return [couldNotRun(check.name, '', needs)];
    }
    return [worstOf(paths.map(({ path }) => check.judge(facts, path, scenario.expect)))];
  });
  return {
    name: scenario.name,
    outcome: worstOutcome(checks.map(({ outcome }) => outcome)),
    checks,
    paths: paths.map(({ index }) => index),
  };
}

/** The verdict on a scenario whose request was not made, with what it needs. */
export function couldNotJudge({ name, request }: Scenario, needs: string): ScenarioVerdict {
  const check = couldNotRun('request', `${request.from} asks ${request.to}`, needs);
  return { name, outcome: check.outcome, checks: [check], paths: [] };
}

/** The paths of a scenario's requests, with their place in the facts. */
export function pathsOf(
  scenario: Scenario,
  facts: RunFacts,
): readonly { readonly index: number; readonly path: Path }[] {
  return facts.paths
    .map((path, index) => ({ path, index }))
    .filter(({ path }) => path.request.name === scenario.name);
}

interface ExpectationCheck {
  readonly name: keyof Expectations;
  isWanted(expect: Expectations): boolean;
  judge(facts: RunFacts, path: Path, expect: Expectations): Check;
}

/** One entry an expectation, in the order verdicts are printed. */
const CHECKS: readonly ExpectationCheck[] = [
  entry('status', checkStatus),
  entry('outcome', checkOutcome),
  entry('source', checkSource),
  entry('security', checkSecurity),
  entry('identities', checkIdentities),
  entry('encryptedBetween', checkEncryptedBetween),
  entry('plainBetween', checkPlainBetween),
  entry('legs', checkLegs),
  entry('hops', checkHops),
  entry('passes', checkPasses),
  entry('quiet', checkQuiet),
  entry('findings', checkFindings),
];

function entry<K extends keyof Expectations>(
  name: K,
  judge: (facts: RunFacts, path: Path, wanted: NonNullable<Expectations[K]>) => Check,
): ExpectationCheck {
  return {
    name,
    isWanted: (expect) => expect[name] !== undefined,
    judge: (facts, path, expect) =>
      judge(facts, path, expect[name] as NonNullable<Expectations[K]>),
  };
}

/** A refutation outweighs what could not run, which outweighs what held. */
function worstOf(checks: readonly Check[]): Check {
  const worst = worstOutcome(checks.map(({ outcome }) => outcome));
  const found = checks.find(({ outcome }) => outcome === worst) as Check;
  return checks.length === 1
    ? found
    : { ...found, text: `${found.text} (${checks.length} requests)` };
}
