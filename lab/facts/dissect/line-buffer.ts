const INITIAL_BYTES = 1 << 19;
const TAB = 9;
const NEW_LINE = 10;
const DOT = 0x2e;
const ZERO = 0x30;

/** Bytes of text being made without a string for each line, which would cost more than the rest. */
export class LineBuffer {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #at = 0;

  tab(): void {
    this.#bytes[this.#at++] = TAB;
  }

  endLine(): void {
    this.#bytes[this.#at++] = NEW_LINE;
  }

  /** What was written since the last time, until more is. */
  take(): Buffer {
    const chunk = this.#bytes.subarray(0, this.#at);
    this.#at = 0;
    return chunk;
  }

  /** Text of octets as latin1. */
  text(text: string): void {
    const { length } = text;
    // Room for the numbers of a line is always left.
    if (this.#at + length + 256 > this.#bytes.length) this.#grow(length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  /** A whole number from 0. */
  decimal(value: number): void {
    let digits = 1;
    for (let power = 10; power <= value; power *= 10) digits++;
    this.#digits(value, digits);
  }

  /** Unix seconds with nine decimals; `ns` count from `baseSeconds`. */
  time(baseSeconds: number, ns: number): void {
    const seconds = Math.floor(ns / 1e9);
    this.decimal(baseSeconds + seconds);
    this.#bytes[this.#at++] = DOT;
    this.#digits(ns - seconds * 1e9, 9);
  }

  #digits(value: number, digits: number): void {
    const bytes = this.#bytes;
    if (value <= 0x7fffffff) {
      // Whole words divide faster.
      let left = value | 0;
      for (let at = this.#at + digits - 1; at >= this.#at; at--) {
        const rest = (left / 10) | 0;
        bytes[at] = ZERO + left - rest * 10;
        left = rest;
      }
      this.#at += digits;
      return;
    }
    for (let at = this.#at + digits - 1; at >= this.#at; at--) {
      const rest = Math.floor(value / 10);
      bytes[at] = ZERO + (value - rest * 10);
      value = rest;
    }
    this.#at += digits;
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(this.#bytes.length * 2 + bytes);
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}
