import type { Era } from '../../dataplane/redirect/era.ts';
import { normaliseRule } from '../../dataplane/redirect/normalise.ts';
import { hostRules } from '../../dataplane/redirect/host-rules.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import { ruleOptions } from '../../dataplane/redirect/render.ts';
import type { RuleSet } from '../../dataplane/redirect/rule.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { routingMutations, setMutations, sysctlMutations } from './other-mutations.ts';
import { type PlaceState, readPlace } from './place-state.ts';
import { ruleMutations } from './rule-mutations.ts';

/** Eras whose rules stand in iptables of the pods, which is where they are taken away. */
export const MUTABLE_ERAS = ['inpod-redirect', 'inpod-tproxy'] as const satisfies readonly Era[];

export interface MutationList {
  readonly mutations: readonly Mutation[];
  /** Every place that a mutation touches, as it was before the first. */
  readonly states: readonly PlaceState[];
}

/** All mutations of a running lab: what its enrolled pods and its nodes have in the kernel now. */
export async function listMutations(lab: Lab): Promise<MutationList> {
  const { plan } = lab;
  const status = await lab.status();
  const pods = status.pods.filter(({ enrolled }) => enrolled).map(({ netns }) => netns);
  const nodes = plan.nodes.map(({ name }) => name);
  const states = await Promise.all([...pods, ...nodes].map((place) => readPlace(lab, place)));
  const ofPods = podRules({ era: plan.era, dnsCapture: plan.dnsCapture });
  const reasons = reasonsOf([ofPods, hostRules({ era: plan.era })]);
  return {
    states,
    mutations: [
      ...ruleMutations(states, reasons),
      ...routingMutations(ofPods.routing, pods),
      ...setMutations(states.filter(({ place }) => nodes.includes(place))),
      ...sysctlMutations(plan, pods),
    ],
  };
}

function reasonsOf(sets: readonly RuleSet[]): ReadonlyMap<string, string> {
  return new Map(
    sets.flatMap(({ families }) =>
      families.flatMap(({ family, rules }) =>
        rules.map((rule): [string, string] => [
          `${rule.table} ${rule.chain} ${normaliseRule(ruleOptions(rule), family)}`,
          rule.why,
        ]),
      ),
    ),
  );
}
