import type { Sighting as FoundBytes } from './dissect/types.ts';
import type { CanaryFacts, CanaryHit } from './facts.ts';

/** Frames listed of one canary on one interface. */
const LISTED_FRAMES = 16;

export interface FoundCanary {
  readonly canary: string;
  readonly found: readonly FoundBytes[];
}

export interface CanaryContext {
  readonly fileOf: (interfaceName: string) => string;
  /** Connection of the facts that a dissected conversation became. */
  readonly connectionOf: (conversation: number) => number | undefined;
}

/** Sorts the places where a canary was found: in clear by interface, decrypted by stream. */
export function describeCanary(
  { canary, found }: FoundCanary,
  { fileOf, connectionOf }: CanaryContext,
): CanaryFacts {
  const clear = new Map<string, number[]>();
  const decrypted = new Map<string, { readonly connection: number; readonly stream: number }>();
  for (const each of found) {
    if (each.where === 'frame') {
      clear.set(each.interface, [...(clear.get(each.interface) ?? []), each.frame]);
      continue;
    }
    const connection =
      each.conversation === undefined ? undefined : connectionOf(each.conversation);
    if (connection === undefined || each.streamId === undefined) continue;
    decrypted.set(`${connection} ${each.streamId}`, { connection, stream: each.streamId });
  }
  return {
    canary,
    clear: [...clear].map(([name, frames]) => hitOf(name, frames, fileOf(name))),
    decrypted: [...decrypted.values()],
  };
}

function hitOf(name: string, frames: readonly number[], file: string): CanaryHit {
  const slash = name.indexOf('/');
  const unique = [...new Set(frames)].sort((a, b) => a - b).slice(0, LISTED_FRAMES);
  return { netns: name.slice(0, slash), interface: name.slice(slash + 1), file, frames: unique };
}
