import type { Connection as DissectedConnection, DissectedInterface } from './dissect/types.ts';
import type { Passage } from './facts.ts';
import type { SeenConversation } from './match-connections.ts';

/** Finds the dissector's view of a conversation that was seen on an interface. */
export type DissectedOf = (
  seen: SeenConversation,
) => { readonly on: DissectedInterface; readonly connection: DissectedConnection } | undefined;

/** When each sighting of a connection saw its first frame from the client. */
export function openingPassages(
  sightings: readonly SeenConversation[],
  toUnixNs: (sinceNs: number) => string,
): readonly Passage[] {
  return sightings.map(({ forward }) => ({
    timeNs: toUnixNs(forward.firstNs),
    frame: forward.firstFrames[0] ?? 0,
  }));
}

/** When the frame with this byte of what the client sent passed each sighting. */
export function streamPassages(
  sightings: readonly SeenConversation[],
  position: number,
  dissectedOf: DissectedOf,
): readonly (Passage | undefined)[] {
  return sightings.map((seen) => {
    const found = dissectedOf(seen);
    const frame = found?.connection.fromClient.segments.frameAt(position);
    if (found === undefined || frame === undefined) return undefined;
    const { frames } = found.on;
    return { timeNs: String(frames.timeNs(frames.rowOf(frame))), frame };
  });
}
