import { rulesOfAnnotations } from '../../dataplane/agent/pod-annotations.ts';
import { hostReleaseOf, hostRules } from '../../dataplane/redirect/host-rules.ts';
import { geneveNodeRules } from '../../dataplane/redirect/geneve-node.ts';
import { geneveZtunnelRules } from '../../dataplane/redirect/geneve-ztunnel.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import { sidecarRuleSet } from '../../dataplane/redirect/sidecar-rule-set.ts';
import type { RuleSet } from '../../dataplane/redirect/rule.ts';
import { hasIpv6 } from '../plan/families.ts';
import { ZTUNNEL_HOST_LINK } from '../plan/netns.ts';
import type { NodePlan, Plan, PodPlan } from '../plan/plan.ts';

/** A namespace of a lab, as far as it matters for the rules that belong there. */
export interface RulesPlaceInLab {
  readonly role: 'pod' | 'node' | 'ztunnel' | 'other';
  readonly enrolled: boolean;
  readonly pod?: PodPlan;
  /** The node itself, or that of the ztunnel. */
  readonly node?: NodePlan;
}

/**
 * What the lab's era wants in a namespace; nothing where no redirect belongs. `enrolled` are the uids
 * of pods in the mesh, for eras whose nodes know of each.
 */
export function wantedRules(
  plan: Plan,
  place: RulesPlaceInLab,
  enrolled: ReadonlySet<string> = new Set(),
): RuleSet | undefined {
  const { era, dnsCapture } = plan;
  const sidecar = place.pod?.sidecar;
  if (sidecar !== undefined) {
    const { redirect } = sidecar;
    return redirect && sidecarRuleSet({ era, ipv6: hasIpv6(plan), ...redirect });
  }
  if (era === 'geneve') return nodeLevelRules(plan, place, enrolled);
  const ipv6 = hasIpv6(plan);
  const { tproxyRelease } = plan;
  const release = tproxyRelease && hostReleaseOf(tproxyRelease);
  if (place.role === 'node') return hostRules({ era, ipv6, ...(release && { release }) });
  if (!place.enrolled) return undefined;
  const annotated = rulesOfAnnotations(place.pod?.annotations ?? {}, {
    ...{ era, dnsCapture, tproxyRelease },
  });
  return podRules({ era, ipv6, ...annotated });
}

/** Era geneve: everything is on the node and in its ztunnel's pod, nothing in the pods of the mesh. */
function nodeLevelRules(
  plan: Plan,
  { role, node }: RulesPlaceInLab,
  enrolled: ReadonlySet<string>,
): RuleSet | undefined {
  if (node === undefined) return undefined;
  const { gateway: hostAddress, ztunnelAddress } = node;
  if (role === 'ztunnel') return geneveZtunnelRules({ hostAddress, ztunnelAddress });
  const pods = plan.pods.filter((pod) => pod.node === node.name && enrolled.has(pod.uid));
  const { release, dnsCapture } = plan;
  const options = { hostAddress, ztunnelAddress, ztunnelLink: ZTUNNEL_HOST_LINK, dnsCapture };
  return geneveNodeRules({ ...options, ...(release && { release }) }, pods);
}
