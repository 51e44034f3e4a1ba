import { ERAS, type Era } from '../../../dataplane/redirect/era.ts';

/**
 * What stands between client and server: nothing, our ztunnel in one era of the redirect, an Envoy
 * beside each pod, or a foreign ztunnel in each pod.
 */
export type ModeName = 'none' | Era | 'sidecar' | 'ztunnel';

/** All that a run knows without being given a binary, in the order they are shown. */
export const OWN_MODES: readonly ModeName[] = ['none', ...ERAS, 'sidecar'];
export const MODE_NAMES: readonly ModeName[] = [...OWN_MODES, 'ztunnel'];

/** What a mode is called where people read. */
export function titleOf(mode: ModeName): string {
  switch (mode) {
    case 'none':
      return 'no mesh';
    case 'sidecar':
      return 'sidecar (Envoy)';
    case 'ztunnel':
      return 'foreign ztunnel';
    default:
      return `ambient, ${mode}`;
  }
}

export function isEra(mode: ModeName): mode is Era {
  return (ERAS as readonly string[]).includes(mode);
}
