import type { KubernetesObject } from '../../topologies/objects.ts';
import type { Topology } from '../../topologies/topology.ts';
import type { Plan } from '../plan/plan.ts';
import { planLab, type PlanOptions } from '../plan/plan-lab.ts';
import { type Cell, podsOf } from './cells.ts';
import { scenarioOf } from './expectations.ts';

/**
 * The world of some cells, with their requests as its scenarios: of the pods of the grid's topology
 * those that the cells are about.
 * @throws {PlanError}
 */
export function planGrid(
  topology: Topology,
  cells: readonly Cell[],
  options: Pick<PlanOptions, 'lab' | 'era'>,
): Plan {
  const wanted = new Set(cells.flatMap(podsOf));
  const isWanted = ({ kind, metadata }: KubernetesObject): boolean =>
    kind === 'Namespace' || wanted.has(metadata.name);
  const objects = topology.objects.filter(isWanted);
  const plan = planLab({ ...topology, objects }, options);
  return { ...plan, scenarios: cells.map((cell) => scenarioOf(cell, plan.era)) };
}
