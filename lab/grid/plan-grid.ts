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

/**
 * The world of some cells, with their requests as its scenarios: of the pods of the grid's topology
 * those that the cells are about.
 * @throws {PlanError}
 */
export function planGrid(
  topology: Topology,
  cells: readonly Cell[],
  { withoutHbone, ...options }: GridPlanOptions,
): Plan {
  const wanted = new Set(cells.flatMap(podsOf));
  const isWanted = ({ kind, metadata }: KubernetesObject): boolean =>
    kind === 'Namespace' || wanted.has(metadata.name);
  const objects = topology.objects.filter(isWanted);
  const proxyMetadata = withoutHbone === true ? WITHOUT_HBONE : topology.proxyMetadata;
  const plan = planLab({ ...topology, objects, proxyMetadata }, options);
  return { ...plan, scenarios: cells.map((cell) => scenarioOf(cell, kindOf(plan))) };
}

const WITHOUT_HBONE = {
  ISTIO_META_ENABLE_HBONE: 'false',
  ISTIO_META_DISABLE_HBONE_SEND: 'true',
} as const;

/** What decides who encrypts in a world. */
export function kindOf({ era, pods }: Pick<Plan, 'era' | 'pods'>): GridKind {
  const sidecars = pods.flatMap(({ sidecar }) => sidecar ?? []);
  return { era, sidecarsSpeakHbone: sidecars.every(({ listensHbone }) => listensHbone) };
}
