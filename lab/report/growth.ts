import type { GrowthRow } from '../bench/growth/growth.ts';
import { formatBytes } from './text.ts';

/** What the figures of growing configuration are, and are not. */
export const GROWTH_ABOUT =
  'Configuration as it was generated for meshes of each size: every sidecar is told of every ' +
  'service and endpoint (JSON), every ztunnel of every workload and service (YAML of its static ' +
  'file). Without keys and certificates, and for sidecars without what only Istio’s own Envoy has: ' +
  'a lower bound. Waypoints are counted by number alone.';

/** A column of the table of growing configuration. */
export interface GrowthColumn {
  readonly title: string;
  readonly text: (row: GrowthRow) => string;
}

const figure = (value: number): string => value.toLocaleString('en');

/** The columns of that table, on a terminal and on a page. */
export const GROWTH_COLUMNS: readonly GrowthColumn[] = [
  { title: 'pods', text: ({ pods }) => figure(pods) },
  { title: 'services', text: ({ services }) => figure(services) },
  { title: 'sidecars', text: ({ sidecars }) => figure(sidecars.proxies) },
  { title: 'services told', text: ({ sidecars }) => figure(sidecars.sets) },
  { title: 'each', text: ({ sidecars }) => formatBytes(sidecars.bytesOfOne) },
  { title: 'in all', text: ({ sidecars }) => formatBytes(sidecars.bytes) },
  { title: 'ztunnels', text: ({ ztunnels }) => figure(ztunnels.proxies) },
  { title: 'services told', text: ({ ztunnels }) => figure(ztunnels.sets) },
  { title: 'each', text: ({ ztunnels }) => formatBytes(ztunnels.bytesOfOne) },
  { title: 'in all', text: ({ ztunnels }) => formatBytes(ztunnels.bytes) },
  { title: 'waypoints', text: ({ waypoints }) => figure(waypoints.proxies) },
  { title: 'services told', text: ({ waypoints }) => figure(waypoints.sets) },
];
