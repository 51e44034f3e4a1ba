/** Eras of the redirect as topologies name them; `dataplane/redirect` knows what each means. */
export const ERA_NAMES = ['geneve', 'inpod-tproxy', 'inpod-redirect', 'inpod-nft'] as const;

export type EraName = (typeof ERA_NAMES)[number];

export const DEFAULT_ERA_NAME: EraName = 'inpod-redirect';

/** Releases of Istio whose node-level redirect differs: era geneve. */
export const GENEVE_RELEASE_NAMES = ['1.18', '1.19', '1.20'] as const;

export type GeneveReleaseName = (typeof GENEVE_RELEASE_NAMES)[number];

/** Releases of era inpod-tproxy; 1.24 had it still, for who asked, and knew one annotation. */
export const TPROXY_RELEASE_NAMES = ['1.21', '1.22', '1.23', '1.24'] as const;

export type TproxyReleaseName = (typeof TPROXY_RELEASE_NAMES)[number];

export type ReleaseName = GeneveReleaseName | TproxyReleaseName;

/** Backends of iptables as topologies name them. */
export const IPTABLES_NAMES = ['nft', 'legacy'] as const;

export type IptablesName = (typeof IPTABLES_NAMES)[number];
