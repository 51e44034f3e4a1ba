import { PcapngError } from '../../../lab/capture/pcapng.ts';
import { HpackError, Http2Error, WireError } from '../../../dataplane/wire/errors.ts';
import { fuzzTargets } from '../fuzz-wire.ts';
import type { FuzzTarget, FuzzTargets } from './campaign.ts';
import { mutateBytes } from './mutate.ts';

/** Magic numbers, block types, option codes and record heads of everything on the wire. */
const WORDS = [
  ...[
    '0a0d0d0a',
    '4d3c2b1a',
    '1a2b3c4d',
    '06000000',
    '01000000',
    '0a000000',
    '05000000',
    '03000000',
  ],
  ...[
    '4b534c54',
    '00000000',
    'ffffffff',
    '0000ffff',
    '02000400',
    '09000100',
    '0800',
    '86dd',
    '8100',
  ],
  ...[
    '4500',
    '60000000',
    '0006',
    '11',
    '12b5',
    '0800000000000100',
    '16030100',
    '17030300',
    '14030300',
  ],
  ...[
    '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a',
    '474554202f20485454502f312e310d0a',
    '0d0a0d0a',
  ],
  ...['c00c', '3fe11f', '3fffffffff7f', '82', '0f', '7f00', '0d0a0d0a000d0a515549540a', '2111000c'],
].map((hex) => Buffer.from(hex, 'hex'));

const PROMISED = [
  [HpackError, 'DATAPLANE_HPACK_MALFORMED'],
  [Http2Error, 'DATAPLANE_HTTP2_PROTOCOL'],
  [PcapngError, 'LAB_PCAPNG_MALFORMED'],
  [WireError, 'DATAPLANE_WIRE_MALFORMED'],
] as const;

/** The readers of captured bytes, under the mutator and the watch that all campaigns have. */
export const TARGETS: FuzzTargets = Object.fromEntries(
  fuzzTargets().map(({ name, seeds, feed }) => {
    const longest = Math.max(...seeds.map(({ length }) => length));
    // Pieces of a conversation are no whole one: they serve the mutator only.
    const target: FuzzTarget<Buffer> = {
      name,
      seeds: seeds.filter((seed) => feed(seed) !== false),
      mutate: (random) => {
        const maxBytes = random.once(200) ? 64 * 1024 : longest + 4_096;
        return mutateBytes(random, seeds, { dictionary: WORDS, maxBytes });
      },
      feed,
      isPromised: (error) =>
        PROMISED.some(([kind, code]) => error instanceof kind && error.code === code),
    };
    return [name, () => target] as const;
  }),
);
