import type { RunFacts } from '../facts/facts.ts';
import type { RuleRow, RulesReport } from '../report/html/report-input.ts';
import type { Lab } from '../world/lab.ts';
import { readRules, type RulesReading } from './read-rules.ts';

/** Places whose rules are read; each takes three programs in the lab. */
const MOST_PLACES = 12;

/**
 * Rules of the pods and nodes that requests went through, as the kernel has them now. A place that
 * cannot be read, because its pod has gone or another program is missing, is left out.
 */
export async function readRulesReports(lab: Lab, facts: RunFacts): Promise<readonly RulesReport[]> {
  const netns = new Set(
    facts.paths.flatMap(({ legs }) =>
      legs.flatMap(({ connection }) =>
        (facts.connections[connection]?.sightings ?? []).map((sighting) => sighting.netns),
      ),
    ),
  );
  const targets = lab.plan.pods
    .map((pod) => ({ netns: pod.netns, target: `${pod.namespace}/${pod.name}` }))
    .concat(lab.plan.nodes.map(({ name }) => ({ netns: name, target: name })))
    .filter((each) => netns.has(each.netns))
    .slice(0, MOST_PLACES);
  const found = await Promise.all(
    targets.map(async ({ netns: name, target }) => {
      const reading = await readRules(lab, target).catch(() => undefined);
      return reading === undefined ? [] : [reportOf(name, reading)];
    }),
  );
  return found.flat();
}

function reportOf(netns: string, reading: RulesReading): RulesReport {
  const rows = new Map<string, RuleRow>();
  for (const { steps } of reading.walks) {
    for (const { hook, table, chain, ruleNumber, text, packets, why } of steps) {
      const row = { hook, table, chain, text, packets, why };
      rows.set(`${hook} ${table} ${chain} ${ruleNumber ?? ''} ${text}`, row);
    }
  }
  const state =
    reading.role === 'pod' ? (reading.enrolled ? 'in the mesh' : 'not in the mesh') : reading.role;
  return { netns, about: `${state}, ${rows.size} rules`, rows: [...rows.values()] };
}
