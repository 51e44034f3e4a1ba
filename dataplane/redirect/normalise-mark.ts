import type { RuleOption } from './rule.ts';

const ALL_BITS = 0xffff_ffff;

interface Mark {
  readonly value: number;
  readonly mask: number;
}

/**
 * An option that carries a mark, in the spelling of iptables-save: hex, the mask left out of matches
 * and written in targets, every way of setting bits as `--set-xmark` (libxt_mark, libxt_connmark).
 * Options without a mark, and marks that are none, are given back as they are.
 */
export function normaliseMarkOption(option: RuleOption, targetName?: string): RuleOption {
  const mark = readMark(option.values[0] ?? '');
  if (mark === undefined) return option;
  const { value, mask } = mark;
  switch (option.flag) {
    case '--mark':
      return { ...option, values: [mask === ALL_BITS ? hex(value) : pair(value, mask)] };
    case '--tproxy-mark':
      return { ...option, values: [pair(value, mask)] };
    case '--nfmask':
    case '--ctmask':
    case '--mask':
      return { ...option, values: [hex(value)] };
    default:
      return targetName === 'MARK' || targetName === 'CONNMARK' ? setXmark(option, mark) : option;
  }
}

function setXmark(option: RuleOption, { value, mask }: Mark): RuleOption {
  const written = (bits: number, cleared: number): RuleOption => ({
    ...option,
    flag: '--set-xmark',
    values: [pair(bits, cleared)],
  });
  switch (option.flag) {
    case '--set-xmark':
      return written(value, mask);
    case '--set-mark':
      return written(value, (value | mask) >>> 0);
    case '--and-mark':
      return written(0, ~value >>> 0);
    case '--or-mark':
      return written(value, value);
    case '--xor-mark':
      return written(value, 0);
    default:
      return option;
  }
}

function readMark(text: string): Mark | undefined {
  const match = /^(0x[0-9a-f]{1,8}|\d{1,10})(?:\/(0x[0-9a-f]{1,8}|\d{1,10}))?$/i.exec(text);
  if (match === null) return undefined;
  const value = Number(match[1]);
  const mask = match[2] === undefined ? ALL_BITS : Number(match[2]);
  return value > ALL_BITS || mask > ALL_BITS ? undefined : { value, mask };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function pair(value: number, mask: number): string {
  return `${hex(value)}/${hex(mask)}`;
}
