import { describePosition, SshError, type Position } from './errors.ts';

/** One line of ssh's configuration: the keyword in small letters, and its arguments. */
export interface ConfigLine {
  readonly at: Position;
  readonly keyword: string;
  readonly words: readonly ConfigWord[];
}

export interface ConfigWord {
  readonly text: string;
  readonly at: Position;
}

/**
 * Takes a file of ssh_config(5) apart: `Keyword value`, `Keyword=value`, double quotes around what
 * holds blanks, `#` before a comment.
 *
 * @throws SshError LAB_BAD_SSH_CONFIG with file, line and column
 */
export function readConfigLines(text: string, file: string): readonly ConfigLine[] {
  return text.split('\n').flatMap((line, index) => {
    const words = wordsOf(line.replace(/\r$/, ''), file, index + 1);
    const [keyword, ...rest] = words;
    if (keyword === undefined) return [];
    if (rest.length === 0) {
      throw badConfig(keyword.at, `"${keyword.text}" has no value, "${keyword.text} <value>"`);
    }
    return [{ at: keyword.at, keyword: keyword.text.toLowerCase(), words: rest }];
  });
}

/** What stands in a file, what was wished there, and where that is. */
export function badConfig(at: Position, seenAndWished: string): SshError {
  return new SshError(
    'LAB_BAD_SSH_CONFIG',
    `Cannot read "${describePosition(at)}": ${seenAndWished} was wished`,
  );
}

function wordsOf(line: string, file: string, number: number): readonly ConfigWord[] {
  const words: ConfigWord[] = [];
  const blank = /[\s=]/;
  for (let at = 0; at < line.length;) {
    const character = line.charAt(at);
    // Only after the keyword is "=" a blank: values may hold it.
    if (/\s/.test(character) || (character === '=' && words.length === 1)) {
      at++;
      continue;
    }
    if (character === '#') break;
    const place: Position = { file, line: number, column: at + 1 };
    const isQuoted = character === '"';
    const end = isQuoted
      ? line.indexOf('"', at + 1)
      : endOfWord(line, at, words.length === 0 ? blank : /\s/);
    if (end < 0) throw badConfig(place, 'a quote is not closed, a second "');
    words.push({ text: line.slice(isQuoted ? at + 1 : at, end), at: place });
    at = isQuoted ? end + 1 : end;
  }
  return words;
}

function endOfWord(line: string, from: number, blank: RegExp): number {
  const length = line.slice(from).search(blank);
  return length < 0 ? line.length : from + length;
}
