import type { Leg, RunFacts, Sighting } from '../facts/facts.ts';

/** A link that a leg's packets crossed: sent into it, and where that was recorded too, received. */
export interface LinkCrossing {
  readonly leg: Leg;
  /**
   * `wire`: between a node and the switch, and so between nodes; `device`: a bridge or a tunnel of
   * a node, whose packets go out by another interface; `pod`: any other.
   */
  readonly kind: 'pod' | 'wire' | 'device';
  readonly ends: readonly Sighting[];
  /** `sleep.demo/eth0 → node1/v-sleep`. */
  readonly text: string;
}

/** The links that a leg crossed, in order; loopback is none. */
export function linksOf(facts: RunFacts, leg: Leg): readonly LinkCrossing[] {
  const sightings = facts.connections[leg.connection]?.sightings ?? [];
  return sightings.flatMap((out, index) => {
    if (out.direction !== 'out') return [];
    const next = sightings[index + 1];
    const ends = next?.direction === 'in' ? [out, next] : [out];
    const text = ends.map((each) => `${each.netns}/${each.interface}`).join(' → ');
    const isWire = ends.some((each) => isSwitch(facts, each));
    const isDevice = next?.direction === 'out' && next.netns === out.netns;
    return [{ leg, kind: isDevice ? 'device' : isWire ? 'wire' : 'pod', ends, text }];
  });
}

function isSwitch({ interfaces }: RunFacts, { netns }: Sighting): boolean {
  return interfaces.some((each) => each.netns === netns && each.role === 'fabric');
}
