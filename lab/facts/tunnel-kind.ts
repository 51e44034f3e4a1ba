import type { Era } from '../../dataplane/redirect/era.ts';
import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import type { Recording } from '../capture/layout.ts';

/** Ends of the tunnels of era geneve (Istio 1.18 to 1.20, `cni/pkg/ambient/constants`). */
const TUNNEL_ENDS: ReadonlySet<string> = new Set(['istioin', 'istioout', 'pistioin', 'pistioout']);

/** How the Geneve tunnels of a run were made; undefined in eras without, and where nobody told. */
export function tunnelKindOf(era: Era, recording: Recording | undefined): TunnelKind | undefined {
  if (era !== 'geneve') return undefined;
  const ends = (recording?.interfaces ?? []).filter(({ name }) => TUNNEL_ENDS.has(name));
  return ends.find(({ tunnel }) => tunnel !== undefined)?.tunnel;
}
