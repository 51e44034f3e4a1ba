import type { KubernetesObject } from '../../topologies/objects.ts';
import type { Topology } from '../../topologies/topology.ts';
import type { Plan } from '../plan/plan.ts';
import { planLab, type PlanOptions } from '../plan/plan-lab.ts';
import { type Cell, podsOf } from './cells.ts';
import { type GridKind, scenarioOf } from './expectations.ts';

export interface GridPlanOptions extends Pick<PlanOptions, 'lab' | 'era'> {
  /** Sidecars that neither take nor send HBONE. */
  readonly withoutHbone?: boolean;
}

/** A world for cells, and what of it decides who encrypts. */
export interface GridPlan {
  readonly plan: Plan;
  readonly kind: GridKind;
}

/**
 * The world of some cells, with their requests as its scenarios: of the pods of the grid's topology
 * those that the cells are about.
 * @throws {PlanError}
 */
export function planGrid(
  topology: Topology,
  cells: readonly Cell[],
  { withoutHbone = false, ...options }: GridPlanOptions,
): GridPlan {
  const wanted = new Set(cells.flatMap(podsOf));
  const isWanted = ({ kind, metadata }: KubernetesObject): boolean =>
    kind === 'Namespace' || wanted.has(metadata.name);
  const objects = topology.objects.filter(isWanted);
  const proxyMetadata = withoutHbone ? WITHOUT_HBONE : topology.proxyMetadata;
  const plan = planLab({ ...topology, objects, proxyMetadata }, options);
  const kind: GridKind = { era: plan.era, sidecarsSpeakHbone: !withoutHbone };
  return { plan: { ...plan, scenarios: cells.map((cell) => scenarioOf(cell, kind)) }, kind };
}

const WITHOUT_HBONE = {
  ISTIO_META_ENABLE_HBONE: 'false',
  ISTIO_META_DISABLE_HBONE_SEND: 'true',
} as const;
