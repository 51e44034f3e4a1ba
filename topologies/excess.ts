import { Lexer } from 'yaml';

/** Real manifests stay below a third of this. */
const MAX_DEPTH = 60;
const MAX_DOCUMENTS = 2_000;
/** About 25,000 lines of manifests. */
const MAX_TOKENS = 200_000;

export const TOO_DEEP = 'Nested too deeply';

/**
 * Where a YAML text becomes more than anybody writes: nesting, indicators in a row, documents.
 * The parser is recursive and keeps every error, so such a text would cost it gigabytes; the lexer
 * is a plain loop. Depth is an upper guess from brackets, indicators in a row and indentation.
 */
export function findExcess(
  text: string,
): { readonly offset: number; readonly message: string } | undefined {
  const depth = new DepthGuess();
  let offset = 0;
  let documents = 0;
  let tokens = 0;
  for (const token of new Lexer().lex(text)) {
    if (++tokens > MAX_TOKENS) return { offset, message: 'Too long: split the file' };
    if (token === '---') documents++;
    if (documents > MAX_DOCUMENTS) return { offset, message: 'Too many documents' };
    if (depth.after(token) > MAX_DEPTH) return { offset, message: TOO_DEEP };
    // Control tokens mark the kind of what follows and stand for no text.
    if (!/^[\u0002\u0018\u001f]$/.test(token)) offset += token.length;
  }
  return undefined;
}

class DepthGuess {
  private brackets = 0;
  private inARow = 0;
  private readonly indents: number[] = [];
  private isLineStart = true;
  private indent = 0;

  after(token: string): number {
    const first = token[0] ?? '';
    if (first === '\n' || first === '\r') this.startLine();
    else if (/^ +$/.test(token)) this.indent += this.isLineStart ? token.length : 0;
    else if (first !== '#' && first !== '\u0002') this.take(token);
    return this.brackets + this.inARow + this.indents.length;
  }

  private take(token: string): void {
    this.placeLine();
    if (token === '[' || token === '{') this.brackets++;
    else if (token === ']' || token === '}') this.brackets = Math.max(0, this.brackets - 1);
    else if (/^([-?:]$|[&!])/.test(token)) this.inARow++;
  }

  private startLine(): void {
    this.isLineStart = true;
    this.indent = 0;
    this.inARow = 0;
  }

  /** What comes first in a line says how deep its indentation is. */
  private placeLine(): void {
    if (!this.isLineStart) return;
    this.isLineStart = false;
    while ((this.indents.at(-1) ?? -1) >= this.indent) this.indents.pop();
    this.indents.push(this.indent);
  }
}
