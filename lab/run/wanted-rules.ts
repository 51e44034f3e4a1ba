import { rulesOfAnnotations } from '../../dataplane/agent/pod-annotations.ts';
import { hostRules } from '../../dataplane/redirect/host-rules.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import type { RuleSet } from '../../dataplane/redirect/rule.ts';
import { hasIpv6 } from '../plan/families.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';

/** A namespace of a lab, as far as it matters for the rules that belong there. */
export interface RulesPlaceInLab {
  readonly role: 'pod' | 'node' | 'other';
  readonly enrolled: boolean;
  readonly pod?: PodPlan;
}

/** What the lab's era wants in a namespace; nothing where no redirect belongs. */
export function wantedRules(plan: Plan, place: RulesPlaceInLab): RuleSet | undefined {
  const { era, dnsCapture } = plan;
  const ipv6 = hasIpv6(plan);
  if (place.role === 'node') return hostRules({ era, ipv6 });
  if (!place.enrolled) return undefined;
  const annotated = rulesOfAnnotations(place.pod?.annotations ?? {}, { era, dnsCapture });
  return podRules({ era, ipv6, ...annotated });
}
