import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { NftListingError, SavedRulesError } from '../../dataplane/redirect/errors.ts';
import type { NftListing } from '../../dataplane/redirect/nft-listing.ts';
import { parseNft } from '../../dataplane/redirect/parse-nft.ts';
import { parseNftJson } from '../../dataplane/redirect/parse-nft-json.ts';
import { readRulesText, type SavedFamily } from '../../dataplane/redirect/recognise/read-text.ts';
import { recognise, type Recognition } from '../../dataplane/redirect/recognise/recognise.ts';
import {
  type NftRecognition,
  recogniseNft,
} from '../../dataplane/redirect/recognise/recognise-nft.ts';
import type { SavedRule } from '../../dataplane/redirect/saved.ts';
import { type Direction, type WalkStep, walkRules } from '../../dataplane/redirect/walk.ts';
import { mergeNftWalk } from '../../dataplane/redirect/walk-nft.ts';
import { LabError } from '../world/errors.ts';
import { directionsOf } from './read-rules.ts';

/** The rules of one family in a file, and what they are. */
export interface RulesFileReading {
  readonly recognition: Recognition;
  readonly walks: readonly { readonly direction: Direction; readonly steps: readonly WalkStep[] }[];
}

/** The tables of nftables in a file, and what they are. */
export interface NftFileReading {
  readonly recognition: NftRecognition;
  readonly walks: RulesFileReading['walks'];
  /** JSON has rules and no lines. */
  readonly isJson: boolean;
}

export interface FileReading {
  readonly file: string;
  /** One a family of iptables; none when the file is of nftables. */
  readonly families: readonly RulesFileReading[];
  readonly nft?: NftFileReading;
}

/** A file that none of the programs that list rules has printed; line and column count from 1. */
export class RulesFileError extends Error {
  override readonly name = 'RulesFileError';
  readonly code = 'LAB_FILE_RULES';
  readonly file: string;
  readonly line: number;
  readonly column: number;

  constructor(file: string, cause: SavedRulesError | NftListingError) {
    super(`${file}:${cause.line}:${cause.column}: ${cause.reason}`, { cause });
    this.file = file;
    this.line = cause.line;
    this.column = cause.column;
  }
}

/**
 * Reads rules that were saved somewhere else, says what they are and walks through them; `-` is
 * standard input.
 * @throws RulesFileError with file, line and column; LabError LAB_FILE_UNREADABLE
 */
export async function readRulesFile(file: string): Promise<FileReading> {
  const text = await readText(file);
  try {
    const kind = kindOf(text);
    if (kind === 'iptables') return { file, families: readRulesText(text).map(readFamily) };
    const listing = kind === 'nft' ? parseNft(withoutMark(text)) : parseNftJson(withoutMark(text));
    return { file, families: [], nft: readNft(listing, kind === 'nft-json') };
  } catch (error) {
    const isOurs = error instanceof SavedRulesError || error instanceof NftListingError;
    throw isOurs ? new RulesFileError(file, error) : error;
  }
}

/** Whether anything in a file is not as Istio writes it, or of nobody known. */
export function isFileDifferent({ families, nft }: FileReading): boolean {
  if (nft !== undefined) {
    const { kind, differences } = nft.recognition;
    return kind === 'unknown' || differences.length > 0;
  }
  return families.some(
    ({ recognition: { kind, differences, deviations } }) =>
      kind === 'unknown' || differences.length + deviations.length > 0,
  );
}

/** Told by the first line that says something. */
function kindOf(text: string): 'iptables' | 'nft' | 'nft-json' {
  const lines = withoutMark(text).slice(0, 65_536).split('\n');
  const first = lines.find((line) => line.trim() !== '' && !line.startsWith('#'))?.trim() ?? '';
  if (/^table (?:ip|ip6|inet|arp|bridge|netdev) /.test(first)) return 'nft';
  return first.startsWith('{') ? 'nft-json' : 'iptables';
}

function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function readNft(listing: NftListing, isJson: boolean): NftFileReading {
  const recognition = recogniseNft(listing);
  const known = [...recognition.reasons].map(([key, why]) => {
    const [table = '', chain = '', ...words] = key.split(' ');
    return { table, chain, text: words.join(' '), why };
  });
  const isNode = recognition.candidate?.set.kind === 'node';
  const walks = directionsOf(isNode ? 'node' : 'pod').map((direction) => {
    return { direction, steps: mergeNftWalk([], listing, direction, known) };
  });
  return { recognition, walks, isJson };
}

/** The reading without the machinery behind it, for JSON. */
export function summariseFile({ file, families, nft }: FileReading): unknown {
  return {
    file,
    ...(nft === undefined ? {} : { nft: summariseNft(nft) }),
    families: families.map(({ recognition, walks }) => {
      const { candidate, comparison: _comparison, ...said } = recognition;
      if (candidate === undefined) return { ...said, walks };
      const { set, title, releases, routing } = candidate;
      return { ...said, set, title, releases, routing, walks };
    }),
  };
}

function summariseNft({ recognition, walks }: NftFileReading): unknown {
  const { candidate, reasons: _reasons, ...said } = recognition;
  if (candidate === undefined) return { ...said, walks };
  const { set, title, releases, routing } = candidate;
  return { ...said, set, title, releases, routing, walks };
}

async function readText(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = file === '-' ? await buffer(process.stdin) : await readFile(file);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LabError('LAB_FILE_UNREADABLE', `Cannot read rules from "${file}": ${why}`);
  }
  const at = bytes.indexOf(0);
  if (at < 0) return bytes.toString('utf8');
  const before = bytes.subarray(0, at).toString('latin1').split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  const reason = 'a zero byte, the text of "iptables-save -c" or "nft list ruleset" is wished';
  throw new RulesFileError(file, new SavedRulesError(before.length, column, reason));
}

function readFamily({ family, saved }: SavedFamily): RulesFileReading {
  const recognition = recognise(saved, family);
  const { comparison } = recognition;
  const reasons = new Map<SavedRule, string>();
  for (const [wished, found] of [...(comparison?.same ?? []), ...(comparison?.altered ?? [])]) {
    reasons.set(found.rule, wished.rule.why);
  }
  const isNode = recognition.candidate?.set.kind === 'node';
  const walks = directionsOf(isNode ? 'node' : 'pod').map((direction) => ({
    direction,
    steps: walkRules(saved, direction, { family, reasonOf: (rule) => reasons.get(rule) }),
  }));
  return { recognition, walks };
}
