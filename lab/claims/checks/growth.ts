import {
  DOUBLING_SIZES,
  growthOf,
  type GrowthRow,
  PUBLISHED_SIZES,
} from '../../bench/growth/growth.ts';
import { linesOfService } from '../../bench/growth/lines-of-service.ts';
import { formatBytes } from '../../report/text.ts';
import type { Finding } from '../claim.ts';
import { settle } from '../finding.ts';

type Published = readonly [small: GrowthRow, large: GrowthRow];

/** The configuration of all these meshes, generated and counted. */
export function configurationGrowth(): Finding {
  return growthFinding(growthOf(PUBLISHED_SIZES) as unknown as Published, growthOf(DOUBLING_SIZES));
}

/**
 * Sidecars: when a mesh doubles, what they are told in all has to grow fourfold, and the published
 * counts have to come out of configuration that was generated. The notes count 16 with services of
 * all namespaces and 12,500 with those of a sidecar's own: both are told. Of waypoints only the number
 * of configurations is known.
 */
export function growthFinding([small, large]: Published, doubling: readonly GrowthRow[]): Finding {
  const ratios = doubling
    .slice(1)
    .map((row, at) => row.sidecars.sets / doubling[at]!.sidecars.sets);
  const isSquare = ratios.every((ratio) => ratio === 4);
  const isPublished = small.sidecars.sets === 16 && large.sidecars.setsOfOwnNamespace === 12_500;
  const isOfWaypoints = small.waypoints.sets === 4 && large.waypoints.sets === 100;
  const text =
    `twice the mesh, 4 times what sidecars are told; ${countsOf(small)}; ${countsOf(large)}: ` +
    'the notes count all namespaces in the one and a sidecar’s own in the other; ' +
    'waypoints by number alone';
  const evidence = [small, large, ...doubling].map(rowText);
  return settle(isSquare && isPublished && isOfWaypoints, text, { evidence });
}

/** `4 workloads 16 : 4 (8 : 4 of the own namespace)`. */
function countsOf({ pods, sidecars, waypoints }: GrowthRow): string {
  const { sets, setsOfOwnNamespace } = sidecars;
  const figure = (value: number): string => value.toLocaleString('en');
  return (
    `${figure(pods)} pods ${figure(sets)} : ${waypoints.sets} ` +
    `(${figure(setsOfOwnNamespace)} : ${waypoints.sets} of their own namespaces)`
  );
}

function rowText({ pods, services, sidecars, ztunnels }: GrowthRow): string {
  return (
    `${pods} pods, ${services} services: ${sidecars.proxies} sidecars told of ${sidecars.sets} services, ` +
    `${formatBytes(sidecars.bytesOfOne)} each, ${formatBytes(sidecars.bytes)} in all; ` +
    `${ztunnels.proxies} ztunnels, ${formatBytes(ztunnels.bytesOfOne)} each, ` +
    `${formatBytes(ztunnels.bytes)} in all`
  );
}

/** Words as orders of magnitude: hundreds have three digits, a dozen has two. */
export function linesOfOneService(): Finding {
  const { further, first, own, ztunnel } = linesOfService();
  const isHundreds = [further, first, own].every((lines) => lines >= 100 && lines < 1000);
  const isDozen = ztunnel >= 10 && ztunnel < 100;
  const text =
    `${further} lines of JSON in each sidecar (${first} for the first service on its port, ` +
    `${own} in that of its own pod), ${ztunnel} lines of YAML in each ztunnel`;
  const evidence = [
    'without what only Istio’s own Envoy has (telemetry, peer metadata): a lower bound for sidecars',
    'without keys and certificates; ztunnel’s static file, in which defaults are written out',
  ];
  return settle(isHundreds && isDozen, text, { evidence });
}
