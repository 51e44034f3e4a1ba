import type { FaultName } from '../../topologies/fault-names.ts';
import type { NodeFault, PodFault } from './fault.ts';
import { rulesMissing } from './rules-missing.ts';
import { ztunnelNotTold } from './ztunnel-not-told.ts';

export type AnyFault = PodFault | NodeFault;

/** Every fault by its name; adding one is one file, its name in `topologies` and its line here. */
export const ALL_FAULTS: Partial<Record<FaultName, AnyFault>> = {
  'rules-missing': rulesMissing,
  'ztunnel-not-told': ztunnelNotTold,
};
