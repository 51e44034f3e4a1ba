/** Eras of the redirect as topologies name them; `dataplane/redirect` knows what each means. */
export const ERA_NAMES = ['geneve', 'inpod-tproxy', 'inpod-redirect', 'inpod-nft'] as const;

export type EraName = (typeof ERA_NAMES)[number];

export const DEFAULT_ERA_NAME: EraName = 'inpod-redirect';
