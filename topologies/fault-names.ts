/**
 * Faults that `break` makes in a running lab, as scenario steps name them, each with what it is made
 * at; `lab/faults` has one file each.
 */
export const FAULT_PLACES = {
  'rules-missing': 'pod',
  'rules-not-applied': 'pod',
  'ztunnel-not-told': 'pod',
  'wrong-netns': 'pod',
  'foreign-rule': 'pod',
  'duplicated-rules': 'pod',
  'policy-without-15008': 'pod',
  'port-taken': 'pod',
  'ztunnel-gone': 'node',
  'agent-hung': 'node',
  'mtu-too-small': 'node',
  'ipv6-off': 'pod',
  'rp-filter-strict': 'node',
} as const;

export type FaultName = keyof typeof FAULT_PLACES;

export const FAULT_NAMES = Object.keys(FAULT_PLACES) as [FaultName, ...FaultName[]];

/** Causes that `diagnose` names: those of faults, and what nobody has to break for. */
export const CAUSE_NAMES = [
  ...FAULT_NAMES,
  'agent-gone',
  'rules-left-over',
  'other-than-planned',
] as const;

export type CauseName = (typeof CAUSE_NAMES)[number];
