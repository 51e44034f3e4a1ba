import { ipOf } from '../facts/address.ts';
import type { Leg, Path, RunFacts } from '../facts/facts.ts';
import { isCleartext, lackOfDecryption } from '../judge/check-encryption.ts';
import { framesOf } from '../judge/evidence.ts';
import { type LinkCrossing, linksOf } from '../judge/links.ts';
import { legText, nameOf } from '../judge/places.ts';
import type { FrameRef } from '../judge/verdict.ts';
import { endName } from '../facts/end-name.ts';

/** What packets say of the request of a cell; nothing here is known from a plan. */
export interface CellFacts {
  /** Legs in the notation of topologies. */
  readonly legs: readonly string[];
  readonly hops: number;
  readonly passes: number;
  /** Address that the app saw, and whose it is. */
  readonly source?: { readonly address: string; readonly name: string };
  readonly encryption: EncryptionFacts;
  /** First frames of each leg. */
  readonly frames: readonly FrameRef[];
}

/** Where a request was encrypted, and by whom. */
export interface EncryptionFacts {
  readonly extent: Extent;
  readonly tunnels: readonly TunnelFacts[];
  /** Every link that the request crossed, in order. */
  readonly links: readonly LinkFacts[];
}

/**
 * Links on which nothing of the request was readable: all; all between nodes, but not within them;
 * some; none. `not known` where a link shows neither.
 */
export type Extent = 'pod to pod' | 'node to node' | 'in part' | 'nowhere' | 'not known';

export interface TunnelFacts {
  /** Leg that it is, from 1. */
  readonly leg: number;
  readonly wrapping: 'hbone' | 'mtls';
  /** Programs at its ends: `ztunnel(node1)`, `envoy(sleep)`. */
  readonly from: string;
  readonly to: string;
  readonly version?: string;
  /** SPIFFE URIs of the certificates in its handshake. */
  readonly clientIdentity?: string;
  readonly serverIdentity?: string;
}

export interface LinkFacts {
  readonly kind: LinkCrossing['kind'];
  /** Interfaces that the packets passed on it. */
  readonly between: string;
  readonly leg: number;
  /** `readable`: the canary of the request was found on it in clear. */
  readonly state: 'encrypted' | 'readable' | 'not known';
  readonly frames: readonly FrameRef[];
}

/** The values of a cell, from a path that lacks nothing. */
export function readCell(facts: RunFacts, path: Path): CellFacts {
  const source = sourceOf(facts, path);
  return {
    legs: path.legs.map((leg) => legText(facts, leg)),
    hops: path.hops,
    passes: path.passes,
    ...(source && { source }),
    encryption: encryptionOf(facts, path),
    frames: path.legs.flatMap((leg) =>
      framesOf(facts.connections[leg.connection]?.sightings.slice(0, 1) ?? []),
    ),
  };
}

/** As the app reported it; else by the packets that reached the app. */
function sourceOf(facts: RunFacts, { request, legs }: Path): CellFacts['source'] {
  const last = legs.at(-1);
  const sighting = facts.connections[last?.connection ?? -1]?.sightings.at(-1);
  const seen = request.sourceSeenByApp ?? (last?.to.kind === 'app' ? sighting?.client : undefined);
  if (seen === undefined) return undefined;
  return { address: ipOf(seen), name: nameOf(facts, ipOf(seen)) };
}

function encryptionOf(facts: RunFacts, path: Path): EncryptionFacts {
  const links = path.legs.flatMap((leg) =>
    linksOf(facts, leg)
      .filter(({ kind }) => kind !== 'device')
      .map((link) => linkFacts(facts, path, link)),
  );
  return { extent: extentOf(links), tunnels: path.legs.flatMap((leg) => tunnelOf(leg)), links };
}

function linkFacts(
  facts: RunFacts,
  path: Path,
  { leg, kind, ends, text }: LinkCrossing,
): LinkFacts {
  const hits = path.canary.clear.filter((hit) =>
    ends.some((each) => each.netns === hit.netns && each.interface === hit.interface),
  );
  const isWrapped = leg.encapsulation !== 'plain' && !isCleartext(facts, leg);
  const isEncrypted = isWrapped && lackOfDecryption(facts, path, leg) === undefined;
  const isReadable = !isWrapped && hits.length > 0;
  return {
    kind,
    between: text,
    leg: leg.number,
    state: isEncrypted ? 'encrypted' : isReadable ? 'readable' : 'not known',
    frames: isReadable ? hits.map(({ file, frames }) => ({ file, frames })) : framesOf(ends),
  };
}

function tunnelOf({ number, encapsulation, from, to, hbone, mtls }: Leg): readonly TunnelFacts[] {
  if (encapsulation === 'plain') return [];
  const { version, clientIdentity, serverIdentity } = hbone ?? mtls ?? {};
  return [
    {
      leg: number,
      wrapping: encapsulation,
      from: endName(from),
      to: endName(to),
      ...(version !== undefined && { version }),
      ...(clientIdentity !== undefined && { clientIdentity }),
      ...(serverIdentity !== undefined && { serverIdentity }),
    },
  ];
}

function extentOf(links: readonly LinkFacts[]): Extent {
  const among = (some: readonly LinkFacts[], state: LinkFacts['state']): number =>
    some.filter((each) => each.state === state).length;
  if (links.length === 0 || among(links, 'not known') > 0) return 'not known';
  const encrypted = among(links, 'encrypted');
  if (encrypted === 0) return 'nowhere';
  if (encrypted === links.length) return 'pod to pod';
  const wires = links.filter(({ kind }) => kind === 'wire');
  return wires.length > 0 && among(wires, 'readable') === 0 ? 'node to node' : 'in part';
}
