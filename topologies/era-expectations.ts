import type { EraName } from './era.ts';
import type { Expectations, Scenario } from './topology.ts';

/** A scenario as one era has it: what is expected there, without what is said of others. */
export function scenarioInEra({ eras, ...scenario }: Scenario, era: EraName): Scenario {
  const changes = eras?.[era];
  if (changes === undefined) return scenario;
  const wished = Object.entries({ ...scenario.expect, ...changes });
  const expect = Object.fromEntries(wished.filter(([, value]) => value !== null)) as Expectations;
  return { ...scenario, expect };
}
