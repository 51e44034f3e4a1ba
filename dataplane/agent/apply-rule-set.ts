import type { RuleSet } from '../redirect/rule.ts';
import { ensureTunnel, removeTunnel } from '../tunnels/ensure-tunnel.ts';
import type { TunnelKind } from '../tunnels/tunnel.ts';
import { applyRules, removeRules } from './apply-rules.ts';
import type { ApplyResult } from './apply-options.ts';
import { removeStrangeRouting } from './policy-routing.ts';
import type { RulesPlace } from './rules-in-netns.ts';
import { ensureSysctls } from './sysctls.ts';

export interface RuleSetPlace extends RulesPlace {
  readonly tunnelKind: TunnelKind;
}

/**
 * Makes a netns have exactly this: links, settings, rules, policy routing. In tables, priorities and
 * chains that are wholly ours, what is strange goes. Sets have to be there.
 * @throws {TunnelError} {@link SysctlError} and errors of {@link applyRules}
 */
export async function applyRuleSet(rules: RuleSet, place: RuleSetPlace): Promise<ApplyResult> {
  let isChanged = false;
  for (const link of rules.links ?? []) {
    isChanged = (await ensureTunnel(link, place.tunnelKind, place)) !== 'unchanged' || isChanged;
  }
  isChanged = ensureSysctls(place.netns, rules.sysctls ?? []) || isChanged;
  isChanged = removeStrangeRouting(place.netns, rules) || isChanged;
  const result = await applyRules(rules, { ...place, guardrails: false });
  return isChanged && result === 'unchanged' ? 'repaired' : result;
}

/** Takes chains, policy routing and links of a set out again, in upstream's order. Settings stay. */
export async function removeRuleSet(rules: RuleSet, place: RuleSetPlace): Promise<void> {
  await removeRules({ ...rules, routing: [] }, place);
  removeStrangeRouting(place.netns, { ...rules, routing: [] });
  for (const { name } of rules.links ?? []) await removeTunnel(name, place);
}
