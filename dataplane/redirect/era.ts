/**
 * The generations of Istio's ambient redirect that the lab can install.
 */
export const ERAS = ['geneve', 'inpod-tproxy', 'inpod-redirect', 'inpod-nft'] as const;

export type Era = (typeof ERAS)[number];

/** The eras whose redirect rules this version can generate. */
export const BUILDABLE_ERAS = [
  'geneve',
  'inpod-tproxy',
  'inpod-redirect',
  'inpod-nft',
] as const satisfies readonly Era[];

export const DEFAULT_ERA: Era = 'inpod-redirect';

/** Where iptables keeps its rules: in nf_tables, or in the tables it had before. */
export const IPTABLES_BACKENDS = ['nft', 'legacy'] as const;

export type IptablesBackend = (typeof IPTABLES_BACKENDS)[number];
