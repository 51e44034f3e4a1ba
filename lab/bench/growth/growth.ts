import {
  type ConfigurationCount,
  countSidecars,
  countWaypoints,
  countZtunnels,
} from './count-configuration.ts';
import { type MeshSize, meshOfSize } from './mesh-of-size.ts';

/** What the proxies of one mesh are told, by what takes its pods into the mesh. */
export interface GrowthRow {
  readonly size: MeshSize;
  /** Pods and services of the mesh. */
  readonly pods: number;
  readonly services: number;
  readonly sidecars: ConfigurationCount;
  readonly ztunnels: Omit<ConfigurationCount, 'setsOfOwnNamespace'>;
  /** By number only: no waypoint's configuration is generated yet. */
  readonly waypoints: Pick<ConfigurationCount, 'proxies' | 'sets'>;
}

/**
 * The two meshes that people count configuration in (Istio's blog, 2023, "Istio Ambient Waypoint
 * Proxy Made Simple"): 16 : 4, and 12,500 : 100.
 */
export const PUBLISHED_SIZES: readonly [small: MeshSize, large: MeshSize] = [
  { namespaces: 2, deployments: 2, pods: 1, waypoints: 1 },
  { namespaces: 2, deployments: 25, pods: 10, waypoints: 2 },
];

/** Meshes that double: twice the services and with them twice the pods, from 8 pods on. */
export const DOUBLING_SIZES: readonly MeshSize[] = [2, 4, 8, 16].map((deployments) => ({
  ...{ namespaces: 2, deployments, pods: 2, waypoints: 1 },
}));

/** Sizes to show growth by, up to the large one of those that are published. */
export const GROWING_SIZES: readonly MeshSize[] = [1, 2, 5, 10, 25].map((deployments) => ({
  ...PUBLISHED_SIZES[1],
  deployments,
}));

/**
 * Generates the configuration of every proxy of a mesh of each size, with sidecars and in ambient,
 * and counts it. Takes a second or two of CPU time for 500 sidecars.
 */
export function growthOf(sizes: readonly MeshSize[]): readonly GrowthRow[] {
  return sizes.map((size) => {
    const withSidecars = meshOfSize(size, 'sidecar');
    const services = size.namespaces * size.deployments;
    return {
      size,
      pods: services * size.pods,
      services,
      sidecars: countSidecars(withSidecars),
      ztunnels: countZtunnels(meshOfSize(size, 'ambient')),
      waypoints: countWaypoints(withSidecars, size),
    };
  });
}
