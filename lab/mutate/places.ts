import type { RuleSet } from '../../dataplane/redirect/rule.ts';
import type { Plan } from '../plan/plan.ts';
import { wantedRules } from '../run/wanted-rules.ts';
import type { Lab } from '../world/lab.ts';
import { type PlaceState, readPlace } from './place-state.ts';

/** A namespace of a running lab that mutations touch. */
export interface MutablePlace {
  /** As `exec` of the lab takes it. */
  readonly place: string;
  readonly role: 'pod' | 'node' | 'ztunnel';
  /** What the era puts there; absent where it puts nothing. */
  readonly wanted?: RuleSet;
  /** As it was before the first mutation. */
  readonly state: PlaceState;
}

/**
 * Places that are changed together. Pods have the same rules and play both ends, so they are one; in
 * era geneve each node and each ztunnel pod is one of its own, for it matters whose node it is.
 */
export interface PlaceGroup {
  /** Begins the ids of its mutations; empty in eras that have one group of a role. */
  readonly prefix: string;
  readonly role: MutablePlace['role'];
  readonly places: readonly MutablePlace[];
}

/** Every enrolled pod, node and, in era geneve, ztunnel of the lab, as it is now. */
export async function findPlaces(lab: Lab): Promise<readonly PlaceGroup[]> {
  const { plan } = lab;
  const { pods } = await lab.status();
  const enrolled = new Set(pods.filter((pod) => pod.enrolled).map(({ uid }) => uid));
  const found = await Promise.all(
    namesOf(plan, enrolled).map(async ({ place, role, wanted }) => {
      const state = await readPlace(lab, place);
      return { place, role, state, ...(wanted === undefined ? {} : { wanted }) };
    }),
  );
  const ofRole = (role: MutablePlace['role']): readonly MutablePlace[] =>
    found.filter((each) => each.role === role);
  const together = (role: MutablePlace['role']): PlaceGroup => {
    return { prefix: '', role, places: ofRole(role) };
  };
  if (plan.era !== 'geneve') return [together('pod'), together('node')];
  const apart = [...ofRole('node'), ...ofRole('ztunnel')].map((each): PlaceGroup => {
    return { prefix: `${each.place} `, role: each.role, places: [each] };
  });
  return [...apart, together('pod')];
}

type Named = Omit<MutablePlace, 'state' | 'wanted'> & { readonly wanted: RuleSet | undefined };

function namesOf(plan: Plan, enrolled: ReadonlySet<string>): readonly Named[] {
  const pods = plan.pods
    .filter(({ uid }) => enrolled.has(uid))
    .map((pod): Named => {
      const wanted = wantedRules(plan, { role: 'pod', enrolled: true, pod }, enrolled);
      return { place: pod.netns, role: 'pod', wanted };
    });
  const nodes = plan.nodes.map((node): Named => {
    const wanted = wantedRules(plan, { role: 'node', enrolled: false, node }, enrolled);
    return { place: node.name, role: 'node', wanted };
  });
  if (plan.era !== 'geneve') return [...pods, ...nodes];
  const ztunnels = plan.nodes.map((node): Named => {
    const wanted = wantedRules(plan, { role: 'ztunnel', enrolled: false, node }, enrolled);
    return { place: `ztunnel/${node.name}`, role: 'ztunnel', wanted };
  });
  return [...pods, ...nodes, ...ztunnels];
}
