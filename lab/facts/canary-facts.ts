import type { CanaryFacts, CanaryHit } from './facts.ts';
import type { FoundCanary } from './find-canaries.ts';

/** Frames listed of one canary on one interface. */
const LISTED_FRAMES = 16;

export interface CanaryContext {
  readonly fileOf: (interfaceName: string) => string;
  /** Connection of the facts that a dissected conversation became. */
  readonly connectionOf: (conversation: number) => number | undefined;
}

/** Sorts the places where a canary was found: in clear by interface, decrypted by stream. */
export function describeCanary(
  canary: string,
  found: readonly FoundCanary[],
  { fileOf, connectionOf }: CanaryContext,
): CanaryFacts {
  const clear = new Map<string, number[]>();
  const decrypted = new Map<string, { readonly connection: number; readonly stream?: number }>();
  for (const each of found) {
    if (each.kind === 'clear') {
      clear.set(each.interface, [...(clear.get(each.interface) ?? []), each.frame]);
      continue;
    }
    const connection = connectionOf(each.conversation);
    const { stream } = each;
    if (connection === undefined) continue;
    decrypted.set(`${connection} ${stream}`, {
      connection,
      ...(stream !== undefined && { stream }),
    });
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
