import type { Random } from './random.ts';

export interface TextGrammar {
  /** Words, brackets and marks that mean something in the format. */
  readonly dictionary: readonly string[];
  /** Longest result in UTF-16 units; repeats stop there. */
  readonly maxLength?: number;
}

const DEFAULT_MAX_LENGTH = 64 * 1024;
const NUMBERS = [
  '0',
  '-1',
  '1',
  '65535',
  '65536',
  '4294967295',
  '4294967296',
  '18446744073709551615',
  '18446744073709551616',
  '99999999999999999999999999',
  '1e309',
  '0x7fffffff',
  '0o17',
  '.nan',
  '-.inf',
  '1.5',
];
const ODD_CHARACTERS = [
  '\0',
  '\u001b',
  '\r',
  '\t',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\ud800',
  '\u{1f600}',
  'ü',
];

type TextChange = (text: string, random: Random, context: TextContext) => string;

interface TextContext {
  readonly seeds: readonly string[];
  readonly dictionary: readonly string[];
  readonly maxLength: number;
}

/**
 * One of `seeds` with some changes, of characters, words, numbers and lines: cut out, doubled,
 * exchanged, taken from another seed or from the dictionary, indented, truncated, repeated.
 */
export function mutateText(
  random: Random,
  seeds: readonly string[],
  { dictionary, maxLength = DEFAULT_MAX_LENGTH }: TextGrammar,
): string {
  const context = { seeds, dictionary, maxLength };
  let text = random.pick(seeds);
  for (let left = random.changes(); left > 0; left--) {
    text = random.pick(TEXT_CHANGES)(text, random, context).slice(0, maxLength);
  }
  return text;
}

const cutOut: TextChange = (text, random) => {
  const [start, end] = random.range(text.length);
  return text.slice(0, start) + text.slice(end);
};

const oddCharacter: TextChange = (text, random) => {
  const at = random.below(text.length + 1);
  const odd = random.once(2)
    ? random.pick(ODD_CHARACTERS)
    : String.fromCharCode(0x20 + random.below(0x5f));
  return text.slice(0, at) + odd + text.slice(at + random.below(2));
};

const insertWord: TextChange = (text, random, { dictionary }) => {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + random.pick(dictionary) + text.slice(at + random.below(2));
};

/** Start and end of the word that is at or after a random place. */
function wordAt(
  text: string,
  random: Random,
  pattern: RegExp,
): readonly [number, number] | undefined {
  const from = random.below(text.length);
  pattern.lastIndex = from;
  const found = pattern.exec(text);
  return found === null ? undefined : [found.index, found.index + found[0].length];
}

const replaceWord: TextChange = (text, random, context) => {
  const place = wordAt(text, random, /[\w.-]+/g);
  const other = wordAt(text, random, /[\w./:-]+/g);
  if (place === undefined) return insertWord(text, random, context);
  const [start, end] = place;
  const word =
    other === undefined || random.once(2) ? random.pick(context.dictionary) : text.slice(...other);
  return text.slice(0, start) + word + text.slice(end);
};

const replaceNumber: TextChange = (text, random, context) => {
  const place = wordAt(text, random, /\d+/g);
  if (place === undefined) return insertWord(text, random, context);
  return text.slice(0, place[0]) + random.pick(NUMBERS) + text.slice(place[1]);
};

const changeLines: TextChange = (text, random, { seeds, maxLength }) => {
  const lines = text.split('\n');
  const at = random.below(lines.length);
  const line = lines[at] ?? '';
  switch (random.below(7)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, line);
      break;
    case 2:
      lines.splice(random.below(lines.length), 0, ...lines.splice(at, 1 + random.below(4)));
      break;
    case 3:
      lines[at] = ' '.repeat(random.below(9)) + line.trimStart();
      break;
    case 4:
      lines.splice(at, 0, random.pick(random.pick(seeds).split('\n')));
      break;
    case 5:
      lines.splice(at, lines.length - at, ...linesFrom(random.pick(seeds), random));
      break;
    default: {
      const times = random.once(4) ? Math.floor(maxLength / (line.length + 1)) : 4;
      lines.splice(at, 0, ...Array.from({ length: random.below(times) }, () => line));
    }
  }
  return lines.join('\n');
};

function linesFrom(text: string, random: Random): readonly string[] {
  const lines = text.split('\n');
  return lines.slice(random.below(lines.length));
}

const truncate: TextChange = (text, random) => text.slice(0, random.below(text.length));

const repeat: TextChange = (text, random, { dictionary, maxLength }) => {
  const [start, end] = random.range(text.length);
  const piece = random.once(2) ? random.pick(dictionary) : text.slice(start, end);
  const most = random.once(8) ? Math.floor(maxLength / Math.max(piece.length, 1)) : 20;
  return text.slice(0, start) + piece.repeat(random.below(most)) + text.slice(start);
};

const TEXT_CHANGES: readonly TextChange[] = [
  cutOut,
  oddCharacter,
  insertWord,
  insertWord,
  replaceWord,
  replaceWord,
  replaceWord,
  replaceNumber,
  replaceNumber,
  changeLines,
  changeLines,
  changeLines,
  truncate,
  repeat,
];
