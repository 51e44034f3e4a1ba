import { LabError } from './errors.ts';

/** Longest line that is taken: a plan of a thousand pods with room to spare. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/**
 * Cuts a byte stream into lines of JSON. `push` gives back the values of the lines completed by the
 * chunk, in order.
 */
export class JsonLines {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** @throws LabError LAB_PROTOCOL for a line that is no JSON or has no end in sight. */
  push(chunk: Buffer): unknown[] {
    const values: unknown[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...this.#parts, chunk.subarray(start, end)]).toString('utf8');
      this.#parts = [];
      this.#bytes = 0;
      start = end + 1;
      if (line.trim() !== '') values.push(parse(line));
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return values;
  }

  #keep(rest: Buffer): void {
    this.#bytes += rest.length;
    if (this.#bytes > this.#maxBytes) {
      throw new LabError(
        'LAB_PROTOCOL',
        `Cannot read a line: more than ${this.#maxBytes} bytes without an end`,
      );
    }
    this.#parts.push(rest);
  }
}

/** One value as a line. */
export function toJsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    const shown = line.length > 80 ? `${line.slice(0, 80)}…` : line;
    throw new LabError('LAB_PROTOCOL', `Cannot read "${shown}": JSON is wanted`, { cause });
  }
}
