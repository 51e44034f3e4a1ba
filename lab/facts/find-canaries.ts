import type { PlainStream } from './dissect/byte-stream.ts';
import type { Dissection } from './dissect/dissect.ts';
import type { FrameTable } from './dissect/frame-table.ts';
import type { Conversation, DissectedInterface, Http2Frame } from './dissect/types.ts';

/** A place where a canary stands. */
export type FoundCanary =
  | {
      /** Readable on the wire. */
      readonly kind: 'clear';
      /** `netns/interface`. */
      readonly interface: string;
      readonly frame: number;
      readonly conversation?: number;
    }
  | {
      /** Only in what a TLS session decrypts to. */
      readonly kind: 'decrypted';
      readonly conversation: number;
      readonly stream?: number;
    };

/** Shorter common beginnings than this are no help in searching for many canaries at once. */
const MIN_PREFIX = 5;

/** So many are sooner found each by itself: the longer a needle, the farther a search can leap. */
const FEW = 4;

/** How much of a piece is put together with the next, to find what lies across both. */
const MAX_CANARY_BYTES = 256;

/**
 * Finds every place of every canary: in the bytes of the frames, in clear streams across two
 * segments, and in decrypted streams. Canaries with a common beginning are looked for all at once.
 */
export function findCanaries(
  capture: Dissection,
  canaries: readonly string[],
): ReadonlyMap<string, readonly FoundCanary[]> {
  const found = new Map<string, FoundCanary[]>(canaries.map((canary) => [canary, []]));
  const search = new Search([...found.keys()]);
  for (const each of capture.interfaces) findInFrames(each, search, found);
  for (const conversation of capture.conversations) {
    for (const side of ['client', 'server'] as const) {
      const plain = capture.plain[conversation.index]?.[side];
      if (plain === undefined) continue;
      if (conversation.tls === undefined) {
        findAcrossSegments(conversation, side, plain, search, found);
      } else findDecrypted(conversation, side, plain, search, found);
    }
  }
  return found;
}

type Found = Map<string, FoundCanary[]>;

/** One pass over some bytes for all canaries. */
class Search {
  readonly #canaries: ReadonlySet<string>;
  readonly #lengths: readonly number[];
  readonly #prefixes: readonly Buffer[];
  readonly longest: number;

  constructor(canaries: readonly string[]) {
    const used = canaries.filter((canary) => canary !== '' && canary.length <= MAX_CANARY_BYTES);
    this.#canaries = new Set(used);
    this.#lengths = [...new Set(used.map(({ length }) => length))];
    const prefix = commonPrefix(used);
    const isShared = used.length > FEW && prefix.length >= MIN_PREFIX;
    this.#prefixes = (isShared ? [prefix] : used).map((each) => Buffer.from(each, 'latin1'));
    this.longest = Math.max(0, ...this.#lengths);
  }

  /** Whether a canary may begin in the last bytes of `piece` and go on in the next one. */
  mayEndLater(piece: Buffer): boolean {
    return this.#prefixes.some((prefix) => {
      for (let at = Math.max(0, piece.length - this.longest + 1); at < piece.length; at++) {
        if (piece[at] === prefix[0] && startsLike(piece, at, prefix)) return true;
      }
      return false;
    });
  }

  /** Every canary in `bytes`, with its offset; one that ends beyond the buffer is none. */
  *in(bytes: Buffer): Iterable<readonly [canary: string, at: number]> {
    for (const prefix of this.#prefixes) {
      for (let at = bytes.indexOf(prefix); at >= 0; at = bytes.indexOf(prefix, at + 1)) {
        for (const length of this.#lengths) {
          const text = bytes.toString('latin1', at, at + length);
          if (text.length === length && this.#canaries.has(text)) yield [text, at];
        }
      }
    }
  }
}

/** Whether what stands at `at` is the beginning of `prefix`, as far as the piece goes. */
function startsLike(piece: Buffer, at: number, prefix: Buffer): boolean {
  const length = Math.min(prefix.length, piece.length - at);
  for (let i = 1; i < length; i++) if (piece[at + i] !== prefix[i]) return false;
  return true;
}

function commonPrefix(texts: readonly string[]): string {
  let prefix = texts[0] ?? '';
  for (const text of texts) {
    while (!text.startsWith(prefix)) prefix = prefix.slice(0, -1);
  }
  return prefix;
}

/** The file is searched whole: what lies between two frames is no canary's place. */
function findInFrames(on: DissectedInterface, search: Search, found: Found): void {
  const { frames, connections, name } = on;
  if (frames.count === 0) return;
  for (const [canary, at] of search.in(frames.file)) {
    const row = rowAt(frames, at);
    if (row < 0 || at + canary.length > frames.dataOffsets[row]! + frames.capturedBytes[row]!) {
      continue;
    }
    const conversation = connections[frames.connections[row]!]?.conversation;
    found.get(canary)?.push({
      kind: 'clear',
      interface: name,
      frame: frames.numbers[row]!,
      ...(conversation !== undefined && { conversation }),
    });
  }
}

/** Last row whose data begins at or before an offset of the file. */
function rowAt({ dataOffsets, count }: FrameTable, offset: number): number {
  let low = 0;
  let high = count - 1;
  if (dataOffsets[0]! > offset) return -1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (dataOffsets[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A canary that two segments share is in no single frame; each sighting shows the first of both. */
function findAcrossSegments(
  conversation: Conversation,
  side: 'client' | 'server',
  plain: PlainStream,
  search: Search,
  found: Found,
): void {
  for (const { canary, piece, start } of acrossPieces(plain, search)) {
    const position = plain.starts[piece]! + start;
    for (const connection of conversation.sightings) {
      const half = side === 'client' ? connection.fromClient : connection.fromServer;
      const frame = half.segments.frameAt(position);
      if (frame === undefined) continue;
      found.get(canary)?.push({
        kind: 'clear',
        interface: connection.interface,
        frame,
        conversation: conversation.index,
      });
    }
  }
}

function findDecrypted(
  { index, http2 }: Conversation,
  side: 'client' | 'server',
  plain: PlainStream,
  search: Search,
  found: Found,
): void {
  const frames = http2?.[side] ?? [];
  const note = (canary: string, offset: number): void => {
    const stream = streamAt(frames, offset);
    found.get(canary)?.push({
      kind: 'decrypted',
      conversation: index,
      ...(stream !== undefined && { stream }),
    });
  };
  for (const [piece, bytes] of plain.pieces.entries()) {
    for (const [canary, at] of search.in(bytes)) note(canary, plain.offsets[piece]! + at);
  }
  for (const { canary, piece, start } of acrossPieces(plain, search)) {
    note(canary, plain.offsets[piece]! + start);
  }
}

/** Canaries that begin in one piece and end in a later one. */
function* acrossPieces(
  { pieces }: PlainStream,
  search: Search,
): Iterable<{ readonly canary: string; readonly piece: number; readonly start: number }> {
  const keep = search.longest - 1;
  if (keep <= 0) return;
  for (let piece = 0; piece + 1 < pieces.length; piece++) {
    const here = pieces[piece]!;
    if (!search.mayEndLater(here)) continue;
    const tail = here.subarray(Math.max(0, here.length - keep));
    const rest = Buffer.concat([tail, following(pieces, piece + 1, keep)]);
    for (const [canary, at] of search.in(rest)) {
      const isAcross = at < tail.length && at + canary.length > tail.length;
      if (isAcross) yield { canary, piece, start: here.length - tail.length + at };
    }
  }
}

function following(pieces: readonly Buffer[], from: number, bytes: number): Buffer {
  const some: Buffer[] = [];
  let length = 0;
  for (let at = from; at < pieces.length && length < bytes; at++) {
    some.push(pieces[at]!);
    length += pieces[at]!.length;
  }
  return Buffer.concat(some, Math.min(length, bytes));
}

/** The stream of the HTTP/2 frame that holds a byte of what a side said. */
function streamAt(frames: readonly Http2Frame[], offset: number): number | undefined {
  let low = 0;
  let high = frames.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (frames[middle]!.offset <= offset) low = middle;
    else high = middle - 1;
  }
  const frame = frames[low];
  return frame === undefined || frame.offset > offset ? undefined : frame.streamId;
}
