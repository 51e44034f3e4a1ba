import type { HalfFlow } from './half-flow.ts';
import { turned } from './half-flow.ts';

/** Both directions of one conversation on one interface. `forward` is what the client sent. */
export interface Conversation {
  readonly forward: HalfFlow;
  readonly backward?: HalfFlow;
}

const PROXY_PORTS = /:(?:15001|15006|15008|15053)$/;

/**
 * Pairs the halves of one interface. Replies to an opened TCP connection are known by what they
 * acknowledge, whatever address they come from: under REDIRECT the replies on loopback come from
 * the original destination, and go to the port the client bound even where NAT gave its frames another
 * one, because the translated tuple was in use. Answers of ztunnel's DNS do, too, and are known by the client's end alone.
 * Everything else is paired by the reversed tuple. Halves that no client frame belongs to (the
 * capture began in the middle) become conversations of their own.
 */
export function pairHalves(halves: readonly HalfFlow[]): readonly Conversation[] {
  const unpaired = new Set(halves);
  const conversations: Conversation[] = [];
  const answers = indexAnswers(halves);
  for (const forward of halves) {
    if (!forward.opens || forward.syn === undefined) continue;
    unpaired.delete(forward);
    const candidates = (answers.get((forward.syn + 1) >>> 0) ?? []).filter(
      (each) =>
        unpaired.has(each) &&
        hostOf(each.destination) === hostOf(forward.source) &&
        each.direction === turned(forward.direction),
    );
    const backward =
      candidates.find((each) => each.source === forward.destination) ??
      candidates.find((each) => each.destination === forward.source) ??
      candidates[0];
    if (backward !== undefined) unpaired.delete(backward);
    conversations.push({ forward, ...(backward && { backward }) });
  }
  conversations.push(...pairRest([...unpaired]));
  return conversations.sort((a, b) => a.forward.firstNs - b.forward.firstNs);
}

/** The address of `ip:port`, IPv6 with its brackets. */
function hostOf(end: string): string {
  return end.slice(0, end.lastIndexOf(':'));
}

function indexAnswers(halves: readonly HalfFlow[]): Map<number, HalfFlow[]> {
  const index = new Map<number, HalfFlow[]>();
  for (const half of halves) {
    if (half.protocol !== 'tcp' || half.opens) continue;
    const list = index.get(half.firstAcknowledgment);
    if (list === undefined) index.set(half.firstAcknowledgment, [half]);
    else list.push(half);
  }
  return index;
}

/** The answer to a question that REDIRECT gave to ztunnel: only the client's end tells it. */
function answerOfDns(asked: HalfFlow, rest: ReadonlySet<HalfFlow>): HalfFlow | undefined {
  if (asked.protocol !== 'udp' || !asked.destination.endsWith(':15053')) return undefined;
  const isAnswer = (each: HalfFlow): boolean =>
    each.protocol === 'udp' &&
    each.destination === asked.source &&
    each.direction === turned(asked.direction) &&
    each.firstNs >= asked.firstNs;
  return [...rest].find(isAnswer);
}

function pairRest(halves: readonly HalfFlow[]): Conversation[] {
  const rest = new Set(halves);
  const byTuple = new Map<string, HalfFlow[]>();
  for (const half of halves) {
    const key = `${half.direction} ${half.protocol} ${half.source} ${half.destination}`;
    byTuple.set(key, [...(byTuple.get(key) ?? []), half]);
  }
  const conversations: Conversation[] = [];
  for (const half of halves) {
    if (!rest.delete(half)) continue;
    const key = `${turned(half.direction)} ${half.protocol} ${half.destination} ${half.source}`;
    const opposite =
      (byTuple.get(key) ?? []).find((each) => rest.has(each)) ?? answerOfDns(half, rest);
    if (opposite !== undefined) rest.delete(opposite);
    // An answer to a SYN that took another way: only the first frame of a connection is tunnelled.
    const answers = half.syn !== undefined && !half.opens;
    const isReply =
      answers || (PROXY_PORTS.test(half.source) && !PROXY_PORTS.test(half.destination));
    if (isReply && opposite !== undefined)
      conversations.push({ forward: opposite, backward: half });
    else conversations.push({ forward: half, ...(opposite && { backward: opposite }) });
  }
  return conversations;
}
