import type { FaultName } from '../../topologies/fault-names.ts';
import { agentHung } from './agent-hung.ts';
import { duplicatedRules } from './duplicated-rules.ts';
import type { NodeFault, PodFault } from './fault.ts';
import { foreignRule } from './foreign-rule.ts';
import { ipv6Off } from './ipv6-off.ts';
import { mtuTooSmall } from './mtu-too-small.ts';
import { policyWithout15008 } from './policy-without-15008.ts';
import { portTaken } from './port-taken.ts';
import { rpFilterStrict } from './rp-filter-strict.ts';
import { rulesMissing } from './rules-missing.ts';
import { rulesNotApplied } from './rules-not-applied.ts';
import { wrongNetns } from './wrong-netns.ts';
import { ztunnelGone } from './ztunnel-gone.ts';
import { ztunnelNotTold } from './ztunnel-not-told.ts';

export type AnyFault = PodFault | NodeFault;

/** Every fault by its name; adding one is one file, its name in `topologies` and its line here. */
export const ALL_FAULTS: Readonly<Record<FaultName, AnyFault>> = {
  'rules-missing': rulesMissing,
  'rules-not-applied': rulesNotApplied,
  'ztunnel-not-told': ztunnelNotTold,
  'wrong-netns': wrongNetns,
  'foreign-rule': foreignRule,
  'duplicated-rules': duplicatedRules,
  'policy-without-15008': policyWithout15008,
  'port-taken': portTaken,
  'ztunnel-gone': ztunnelGone,
  'agent-hung': agentHung,
  'mtu-too-small': mtuTooSmall,
  'ipv6-off': ipv6Off,
  'rp-filter-strict': rpFilterStrict,
};
