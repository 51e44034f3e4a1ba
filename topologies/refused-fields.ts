import { valueAt } from './issues.ts';
import type { Path } from './source.ts';

interface RefusedField {
  readonly kinds: readonly string[];
  readonly path: Path;
  /** Whether a value changes what is on the wire in a way the lab does not build. */
  readonly isRefused: (value: unknown) => boolean;
  readonly why: string;
}

const PODS = ['Pod', 'Deployment'];

/**
 * Fields that change what happens on the wire, so that ignoring them would make the lab lie.
 * Paths in a pod are looked up in a Deployment's template too.
 */
const REFUSED: readonly RefusedField[] = [
  {
    kinds: PODS,
    path: ['spec', 'hostNetwork'],
    isRefused: (value) => value === true,
    why: 'pods in the network namespace of their node cannot be built yet',
  },
  {
    kinds: ['Service'],
    path: ['spec', 'sessionAffinity'],
    isRefused: (value) => value !== 'None',
    why: 'session affinity cannot be built yet',
  },
  {
    kinds: ['Service'],
    path: ['spec', 'externalTrafficPolicy'],
    isRefused: (value) => value !== 'Cluster',
    why: 'only the policy Cluster can be built yet',
  },
  {
    kinds: ['Service'],
    path: ['spec', 'internalTrafficPolicy'],
    isRefused: (value) => value !== 'Cluster',
    why: 'only the policy Cluster can be built yet',
  },
  {
    kinds: ['Service'],
    path: ['spec', 'externalIPs'],
    isRefused: (value) => Array.isArray(value) && value.length > 0,
    why: 'external addresses cannot be built yet',
  },
  {
    kinds: [...PODS, 'Namespace', 'Service'],
    path: ['metadata', 'labels', 'istio.io/use-waypoint'],
    isRefused: (value) => value !== 'none',
    why: 'waypoints cannot be built yet',
  },
];

/** Fields of a validated object that the lab may not ignore and cannot build. */
export function refusedFields(object: {
  readonly kind: string;
}): { readonly path: Path; readonly message: string }[] {
  const faults: { path: Path; message: string }[] = [];
  for (const { kinds, path, isRefused, why } of REFUSED) {
    if (!kinds.includes(object.kind)) continue;
    const paths = object.kind === 'Deployment' ? [['spec', 'template', ...path]] : [path];
    for (const each of paths) {
      const value = valueAt(object, each);
      if (value === undefined || value === null || !isRefused(value)) continue;
      faults.push({ path: each, message: `Cannot use ${each.at(-1)} ${shown(value)}: ${why}` });
    }
  }
  return faults;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : (JSON.stringify(value) ?? 'nothing');
}
