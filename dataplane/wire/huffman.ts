import { HpackError } from './errors.ts';
import { HUFFMAN_CODE_LENGTHS } from './hpack-tables.ts';

const EOS = 256;
const EMIT = 1 << 16;
const FAIL = 1 << 17;

const CODE_LENGTHS = Uint8Array.from(HUFFMAN_CODE_LENGTHS);
const CODES = canonicalCodes();
const { transitions: TRANSITIONS, canEnd: CAN_END } = decodingTable();

/** Bytes that `text` (octets as latin1) takes when Huffman coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_LENGTHS[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >> 3;
}

/** Writes `text` (octets as latin1) Huffman coded at `offset`; returns the offset after it. */
export function huffmanEncode(text: string, out: Uint8Array, offset: number): number {
  let bits = 0;
  let held = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let length = CODE_LENGTHS[symbol]!;
    const code = CODES[symbol]!;
    if (length > 22) {
      // At most 7 bits are held, so a long code goes in two parts to stay within 31 bits.
      const low = length - 22;
      bits = (bits << 22) | (code >>> low);
      held += 22;
      while (held >= 8) out[offset++] = bits >>> (held -= 8);
      bits &= (1 << held) - 1;
      bits = (bits << low) | (code & ((1 << low) - 1));
      length = low;
    } else bits = (bits << length) | code;
    held += length;
    while (held >= 8) out[offset++] = bits >>> (held -= 8);
    bits &= (1 << held) - 1;
  }
  if (held > 0) out[offset++] = (bits << (8 - held)) | (0xff >>> held);
  return offset;
}

/**
 * Decodes `from[start, end)` into `out` at 0 and returns the count of octets. `out` must hold
 * {@link huffmanMaxDecoded} of the input.
 * @throws HpackError where EOS is coded or the padding is not the start of EOS (RFC 7541 5.2)
 */
export function huffmanDecode(
  from: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
): number {
  let state = 0;
  let count = 0;
  for (let i = start; i < end; i++) {
    const byte = from[i]!;
    let entry = TRANSITIONS[(state << 4) | (byte >> 4)]!;
    if (entry & EMIT) out[count++] = entry >> 8;
    let fault = entry;
    entry = TRANSITIONS[((entry & 0xff) << 4) | (byte & 15)]!;
    if (entry & EMIT) out[count++] = entry >> 8;
    fault |= entry;
    if (fault & FAIL) {
      throw new HpackError('huffman', 'Cannot decode Huffman string: it contains EOS', i);
    }
    state = entry & 0xff;
  }
  if (!CAN_END[state]) {
    throw new HpackError('huffman', 'Cannot decode Huffman string: padding is not EOS', end);
  }
  return count;
}

/** Most octets that `bytes` of Huffman code can stand for (the shortest code has 5 bits). */
export function huffmanMaxDecoded(bytes: number): number {
  return Math.floor((bytes * 8) / 5);
}

function canonicalCodes(): Uint32Array {
  const codes = new Uint32Array(EOS + 1);
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (CODE_LENGTHS[symbol] === length) codes[symbol] = code++;
    }
    code *= 2;
  }
  return codes;
}

/** A byte-wise machine: 256 inner nodes of the code tree, 16 half-byte steps from each. */
function decodingTable(): { transitions: Int32Array; canEnd: Uint8Array } {
  // tree[2 * node + bit] is an inner node, or -1 - symbol.
  const tree = new Int16Array(512);
  const depth = new Uint8Array(256);
  const onesOnly = new Uint8Array(256);
  onesOnly[0] = 1;
  let nodes = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let shift = CODE_LENGTHS[symbol]! - 1; shift >= 0; shift--) {
      const slot = 2 * node + ((CODES[symbol]! >>> shift) & 1);
      if (shift === 0) tree[slot] = -1 - symbol;
      else if (tree[slot] === 0) {
        depth[nodes] = depth[node]! + 1;
        onesOnly[nodes] = onesOnly[node]! & slot;
        tree[slot] = nodes++;
      }
      node = tree[slot]!;
    }
  }
  const transitions = new Int32Array(256 * 16);
  for (let state = 0; state < 256; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      transitions[(state << 4) | nibble] = step(tree, state, nibble);
    }
  }
  const canEnd = depth.map((bits, node) => (bits <= 7 && onesOnly[node] ? 1 : 0));
  return { transitions, canEnd };
}

function step(tree: Int16Array, state: number, nibble: number): number {
  let node = state;
  let emitted = 0;
  for (let shift = 3; shift >= 0; shift--) {
    const next = tree[2 * node + ((nibble >> shift) & 1)]!;
    if (next >= 0) node = next;
    else if (next === -1 - EOS) return FAIL;
    else {
      emitted = EMIT | ((-1 - next) << 8);
      node = 0;
    }
  }
  return emitted | node;
}
