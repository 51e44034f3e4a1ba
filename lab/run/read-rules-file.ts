import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { SavedRulesError } from '../../dataplane/redirect/errors.ts';
import { readRulesText, type SavedFamily } from '../../dataplane/redirect/recognise/read-text.ts';
import { recognise, type Recognition } from '../../dataplane/redirect/recognise/recognise.ts';
import type { SavedRule } from '../../dataplane/redirect/saved.ts';
import { type Direction, type WalkStep, walkRules } from '../../dataplane/redirect/walk.ts';
import { LabError } from '../world/errors.ts';
import { directionsOf } from './read-rules.ts';

/** The rules of one family in a file, and what they are. */
export interface RulesFileReading {
  readonly recognition: Recognition;
  readonly walks: readonly { readonly direction: Direction; readonly steps: readonly WalkStep[] }[];
}

export interface FileReading {
  readonly file: string;
  readonly families: readonly RulesFileReading[];
}

/** A file that is no text of iptables-save; line and column count from 1. */
export class RulesFileError extends Error {
  override readonly name = 'RulesFileError';
  readonly code = 'LAB_FILE_RULES';
  readonly file: string;
  readonly line: number;
  readonly column: number;

  constructor(file: string, cause: SavedRulesError) {
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
    return { file, families: readRulesText(text).map(readFamily) };
  } catch (error) {
    throw error instanceof SavedRulesError ? new RulesFileError(file, error) : error;
  }
}

/** The reading without the machinery behind it, for JSON. */
export function summariseFile({ file, families }: FileReading): unknown {
  return {
    file,
    families: families.map(({ recognition, walks }) => {
      const { candidate, comparison: _comparison, ...said } = recognition;
      if (candidate === undefined) return { ...said, walks };
      const { set, title, releases, routing } = candidate;
      return { ...said, set, title, releases, routing, walks };
    }),
  };
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
  const reason = 'a zero byte, the text of "iptables-save -c" is wished';
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
