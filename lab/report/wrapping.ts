import type { Leg } from '../facts/facts.ts';

/** What a leg is wrapped in, as people call it. */
export const WRAPPING_WORDS: Readonly<Record<Leg['encapsulation'], string>> = {
  plain: 'plain',
  hbone: 'HBONE',
  mtls: 'mTLS',
};
