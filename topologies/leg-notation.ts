const PARTY = String.raw`[a-z0-9][-a-z0-9._/]*(?:\([a-z0-9][-a-z0-9]*\))?`;

/** `sleep -> ztunnel:15001`, `ztunnel(node1) -> httpbin:15008 hbone`, `envoy -> httpbin:15006 mtls`. */
export const LEG_PATTERN = new RegExp(
  String.raw`^(${PARTY})(?::(\d{1,5}))? -> (${PARTY}):(\d{1,5})(?: (hbone|mtls))?$`,
);

export interface LegParty {
  /** A pod, a node, `outside`, `ztunnel` or `envoy`. */
  readonly name: string;
  /** Node of a ztunnel, pod of a sidecar's `envoy`, when it was written. */
  readonly node?: string;
}

export interface LegNotation {
  readonly from: LegParty;
  readonly to: LegParty;
  readonly port: number;
  readonly encapsulation: 'plain' | 'hbone' | 'mtls';
}

/** Parts of one leg in the notation of topologies and ladders; `undefined` if it is none. */
export function parseLegNotation(text: string): LegNotation | undefined {
  const match = LEG_PATTERN.exec(text);
  if (!match || Number(match[4]) > 65535) return undefined;
  return {
    from: parseParty(match[1]!),
    to: parseParty(match[3]!),
    port: Number(match[4]),
    encapsulation: (match[5] as 'hbone' | 'mtls' | undefined) ?? 'plain',
  };
}

function parseParty(text: string): LegParty {
  const match = /^([^(]+)\((.+)\)$/.exec(text);
  return match ? { name: match[1]!, node: match[2]! } : { name: text };
}
