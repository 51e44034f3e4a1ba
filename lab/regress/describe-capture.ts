import type { Dissection } from '../facts/dissect/dissect.ts';
import type { DissectedInterface } from '../facts/dissect/types.ts';
import type { Baseline, BaselineBlock, BaselineFact } from './baseline.ts';
import { describeConversation } from './describe-conversation.ts';
import { describeDatagrams } from './describe-datagrams.ts';
import { placeOf } from './describe-seen.ts';

/** A block before blocks that say the same are counted as one. */
export interface LooseBlock {
  /** Who to whom; several may have it. */
  readonly name: string;
  readonly facts: readonly BaselineFact[];
}

/**
 * Facts of a capture by itself, of which nothing else is known: each TCP conversation with its TLS
 * and HTTP, DNS, other UDP, ICMP, with what each interface saw of it. Addresses stay as they are.
 * TCP that says the same is told once with its number; order is by name, for concurrent conversations
 * have none that counts.
 */
export function baselineOfCapture(title: string, capture: Dissection): Baseline {
  const { conversations, interfaces } = capture;
  const tcp = countBlocks(conversations.map((each) => describeConversation(capture, each)));
  return { title, blocks: [...tcp, ...describeDatagrams(interfaces), ...oddities(interfaces)] };
}

/** Frames of all interfaces. */
export function countFrames({ interfaces }: Dissection): number {
  return interfaces.reduce((sum, { frames }) => sum + frames.count, 0);
}

function countBlocks(blocks: readonly LooseBlock[]): readonly BaselineBlock[] {
  const groups = new Map<string, LooseBlock[]>();
  for (const block of blocks) {
    const text = JSON.stringify([block.name, ...block.facts.map(({ key, value }) => [key, value])]);
    groups.set(text, [...(groups.get(text) ?? []), block]);
  }
  const texts = [...groups.keys()].sort();
  const times = new Map<string, number>();
  return texts.flatMap((text) => {
    const group = groups.get(text) ?? [];
    const [first] = group;
    if (first === undefined) return [];
    const time = (times.get(first.name) ?? 0) + 1;
    times.set(first.name, time);
    const [head] = first.facts;
    const count = { ...head, key: 'times', value: String(group.length) };
    return [
      {
        name: time === 1 ? first.name : `${first.name} (${time})`,
        facts: [...(group.length > 1 ? [count] : []), ...first.facts],
      },
    ];
  });
}

/** Interfaces with frames that are clipped or could not be read as what they should have been. */
function oddities(interfaces: readonly DissectedInterface[]): readonly BaselineBlock[] {
  const facts = interfaces.flatMap((on): readonly BaselineFact[] => {
    const layers = [...new Set(on.faults.map(({ layer }) => layer))].sort();
    if (layers.length === 0) return [];
    const frames = [{ file: placeOf(on.name), frames: on.faults.slice(0, 8).map((f) => f.frame) }];
    return [{ key: placeOf(on.name), value: layers.join(', '), frames }];
  });
  return facts.length === 0 ? [] : [{ name: 'could not be read', facts }];
}
