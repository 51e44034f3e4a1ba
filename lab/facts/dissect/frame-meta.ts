/** Bits of the column `meta` of a frame table. */
export const FRAME_META = {
  in: 1,
  out: 2,
  ipv6: 4,
  fragment: 8,
  encapsulated: 16,
  clipped: 32,
  malformed: 64,
} as const;
