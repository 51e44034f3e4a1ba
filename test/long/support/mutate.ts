import type { Random } from './random.ts';

export interface ByteGrammar {
  /** Pieces that mean something in the format: tags, magic numbers, pointers, whole records. */
  readonly dictionary?: readonly Uint8Array[];
  /** Longest result; repeats stop there. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 64 * 1024;
/** Where lengths, counts and signs turn over. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xffff, 0x10000];
const WIDE_EDGES = [...EDGES, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xffffffff];

type ByteChange = (bytes: Buffer, random: Random, context: ByteContext) => Buffer;

interface ByteContext {
  readonly seeds: readonly Buffer[];
  readonly dictionary: readonly Uint8Array[];
  readonly maxBytes: number;
}

/**
 * One of `seeds` with some changes: bits, bytes, numbers at their edges, pieces cut out, doubled,
 * exchanged, taken from another seed or from the dictionary, truncation, long repeats.
 */
export function mutateBytes(
  random: Random,
  seeds: readonly Buffer[],
  { dictionary = [], maxBytes = DEFAULT_MAX_BYTES }: ByteGrammar = {},
): Buffer {
  const context = { seeds, dictionary, maxBytes };
  let bytes: Buffer = Buffer.from(random.pick(seeds));
  for (let left = random.changes(); left > 0; left--) {
    bytes = random.pick(BYTE_CHANGES)(bytes, random, context).subarray(0, maxBytes);
  }
  return bytes;
}

/** A number at an edge, near one that is there, or anything. */
export function oddNumber(random: Random, current: number, most: number): number {
  const kind = random.below(3);
  if (kind === 0) return random.pick(WIDE_EDGES.filter((edge) => edge <= most));
  if (kind === 1) return Math.min(most, Math.max(0, current + random.below(9) - 4));
  return random.below(most + 1);
}

const flipBit: ByteChange = (bytes, random) => {
  const at = random.below(bytes.length);
  if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
  return bytes;
};

const setByte: ByteChange = (bytes, random) => {
  const at = random.below(bytes.length);
  if (at < bytes.length) bytes[at] = oddNumber(random, bytes[at]!, 0xff);
  return bytes;
};

const setNumber: ByteChange = (bytes, random) => {
  const width = random.pick([2, 3, 4]);
  if (bytes.length < width) return bytes;
  const at = random.below(bytes.length - width + 1);
  const most = 2 ** (8 * width) - 1;
  if (random.once(4))
    bytes.writeUIntLE(oddNumber(random, bytes.readUIntLE(at, width), most), at, width);
  else bytes.writeUIntBE(oddNumber(random, bytes.readUIntBE(at, width), most), at, width);
  return bytes;
};

const cutOut: ByteChange = (bytes, random) => {
  const [start, end] = random.range(bytes.length);
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
};

const truncate: ByteChange = (bytes, random) => bytes.subarray(0, random.below(bytes.length));

const double: ByteChange = (bytes, random) => {
  const [start, end] = random.range(bytes.length);
  return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
};

const repeat: ByteChange = (bytes, random, { maxBytes }) => {
  if (!random.once(4)) return double(bytes, random, { seeds: [], dictionary: [], maxBytes });
  const [start, end] = random.range(bytes.length);
  const piece = bytes.subarray(start, end);
  if (piece.length === 0) return bytes;
  const times = random.below(Math.floor(maxBytes / piece.length));
  const many = Array.from({ length: times }, () => piece);
  return Buffer.concat([bytes.subarray(0, start), ...many, bytes.subarray(start)]);
};

const exchange: ByteChange = (bytes, random) => {
  const [a, b] = random.range(bytes.length);
  const [c, d] = random.range(bytes.length - b);
  if (b + d > bytes.length) return bytes;
  const [before, first, between] = [bytes.subarray(0, a), bytes.subarray(a, b), b + c];
  const second = bytes.subarray(between, b + d);
  return Buffer.concat([before, second, bytes.subarray(b, between), first, bytes.subarray(b + d)]);
};

const splice: ByteChange = (bytes, random, { seeds }) => {
  const other = random.pick(seeds);
  const [start, end] = random.range(other.length);
  const at = random.below(bytes.length + 1);
  const rest = random.once(2) ? bytes.subarray(at) : bytes.subarray(at + end - start);
  return Buffer.concat([bytes.subarray(0, at), other.subarray(start, end), rest]);
};

const insertWord: ByteChange = (bytes, random, { dictionary }) => {
  const word =
    dictionary.length > 0 ? random.pick(dictionary) : Buffer.from([random.pick(EDGES) & 0xff]);
  const at = random.below(bytes.length + 1);
  const rest = random.once(2) ? bytes.subarray(at) : bytes.subarray(at + word.length);
  return Buffer.concat([bytes.subarray(0, at), word, rest]);
};

const insertNoise: ByteChange = (bytes, random) => {
  const noise = Buffer.from(Array.from({ length: 1 + random.below(8) }, () => random.below(256)));
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
};

const BYTE_CHANGES: readonly ByteChange[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  setNumber,
  setNumber,
  cutOut,
  truncate,
  double,
  repeat,
  exchange,
  splice,
  insertWord,
  insertWord,
  insertNoise,
];
