import { SavedRulesError } from './errors.ts';

/** One word of a line; `column` counts from 1. */
export interface Token {
  readonly text: string;
  readonly isQuoted: boolean;
  readonly column: number;
}

/**
 * Words of a line as iptables-restore splits them: blanks separate, double quotes hold together, a
 * backslash inside quotes takes the next character as it is (libxtables `add_param_to_argv`).
 * @throws {SavedRulesError} when a quote is left open
 */
export function tokenise(text: string, line: number): readonly Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  while (offset < text.length) {
    if (isBlank(text[offset])) {
      offset += 1;
    } else {
      const end = readToken(text, offset, line, tokens);
      offset = end;
    }
  }
  return tokens;
}

function readToken(text: string, start: number, line: number, tokens: Token[]): number {
  if (text[start] === '"') return readQuoted(text, start, line, tokens);
  let end = start;
  while (end < text.length && !isBlank(text[end])) {
    if (text[end] === '"') {
      throw new SavedRulesError(
        line,
        end + 1,
        'a quote inside a word, a blank is wished before it',
      );
    }
    end += 1;
  }
  tokens.push({ text: text.slice(start, end), isQuoted: false, column: start + 1 });
  return end;
}

function readQuoted(text: string, start: number, line: number, tokens: Token[]): number {
  const parts: string[] = [];
  let offset = start + 1;
  for (;;) {
    const character = text[offset];
    if (character === undefined) {
      throw new SavedRulesError(line, start + 1, 'a quote is opened here and never closed');
    }
    if (character === '"') break;
    const isEscape = character === '\\' && offset + 1 < text.length;
    parts.push(isEscape ? (text[offset + 1] ?? '') : character);
    offset += isEscape ? 2 : 1;
  }
  const end = offset + 1;
  if (end < text.length && !isBlank(text[end])) {
    throw new SavedRulesError(line, end + 1, 'a word goes on after its quote, a blank is wished');
  }
  tokens.push({ text: parts.join(''), isQuoted: true, column: start + 1 });
  return end;
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}
