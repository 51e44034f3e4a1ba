/**
 * The generations of Istio's ambient redirect that the lab can install.
 */
export const ERAS = ['geneve', 'inpod-tproxy', 'inpod-redirect', 'inpod-nft'] as const;

export type Era = (typeof ERAS)[number];

export const DEFAULT_ERA: Era = 'inpod-redirect';

/**
 * Releases of Istio with TPROXY in pods. 1.24 has it for who asks for it, with DNS over TCP, conntrack
 * zones and the annotation for ingress pods; the set of probed pods got its suffix with 1.23.
 */
export const TPROXY_RELEASES = ['1.21', '1.22', '1.23', '1.24'] as const;

export type TproxyRelease = (typeof TPROXY_RELEASES)[number];

export const DEFAULT_TPROXY_RELEASE: TproxyRelease = '1.23';

/** Where iptables keeps its rules: in nf_tables, or in the tables it had before. */
export const IPTABLES_BACKENDS = ['nft', 'legacy'] as const;

export type IptablesBackend = (typeof IPTABLES_BACKENDS)[number];
