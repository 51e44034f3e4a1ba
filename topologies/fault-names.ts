/** Faults that `break` makes in a running lab, as scenario steps name them; `lab/faults` has one file each. */
export const FAULT_NAMES = [
  'rules-missing',
  'rules-not-applied',
  'ztunnel-not-told',
  'wrong-netns',
  'foreign-rule',
  'duplicated-rules',
  'policy-without-15008',
  'port-taken',
  'ztunnel-gone',
  'agent-hung',
  'mtu-too-small',
  'ipv6-off',
  'rp-filter-strict',
] as const;

export type FaultName = (typeof FAULT_NAMES)[number];
