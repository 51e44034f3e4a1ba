import type { Lab } from '../world/lab.ts';
import { linkMutations } from './link-mutations.ts';
import type { Mutation } from './mutation.ts';
import { nftMutations } from './nft-mutations.ts';
import type { PlaceState } from './place-state.ts';
import { findPlaces } from './places.ts';
import { routingMutations } from './routing-mutations.ts';
import { ruleMutations } from './rule-mutations.ts';
import { setMutations } from './set-mutations.ts';
import { sysctlMutations } from './sysctl-mutations.ts';
import { wholeMutations } from './whole-mutations.ts';

export interface MutationList {
  readonly mutations: readonly Mutation[];
  /** Every place that a mutation touches, as it was before the first. */
  readonly states: readonly PlaceState[];
}

/** All mutations of a running lab: what its era has in the kernel of pods, nodes and ztunnels now. */
export async function listMutations(lab: Lab): Promise<MutationList> {
  const groups = await findPlaces(lab);
  const sets = await Promise.all(groups.map((group) => setMutations(lab, group)));
  return {
    states: groups.flatMap(({ places }) => places.map(({ state }) => state)),
    mutations: [
      ...groups.flatMap(ruleMutations),
      ...groups.flatMap(nftMutations),
      ...groups.flatMap(routingMutations),
      ...sets.flat(),
      ...groups.flatMap(linkMutations),
      ...groups.flatMap((group) => sysctlMutations(lab.plan, group)),
      ...wholeMutations(lab.plan, groups),
    ],
  };
}
