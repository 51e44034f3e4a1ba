import { MARK_COMMENT } from './pcapng.ts';

const MARK_BYTES = Buffer.from(MARK_COMMENT);

/** The mark in a comment of the form {@link MARK_COMMENT}; 0 where it is another comment. */
export function readMark(buffer: Buffer, start: number, end: number): number {
  const digitsAt = start + MARK_BYTES.length;
  if (end <= digitsAt || end - digitsAt > 8) return 0;
  for (let i = 0; i < MARK_BYTES.length; i++) if (buffer[start + i] !== MARK_BYTES[i]) return 0;
  let mark = 0;
  for (let at = digitsAt; at < end; at++) {
    const byte = buffer[at]!;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : byte - 0x57;
    if (digit < 0 || digit > 15 || (byte > 0x39 && byte < 0x61)) return 0;
    mark = mark * 16 + digit;
  }
  return mark;
}
