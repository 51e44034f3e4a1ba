const HEAD_END = Buffer.from('\r\n\r\n');
const MOST_HEAD_BYTES = 16 * 1024;
const STATUS_AT = 9;

/**
 * Finds the ends of HTTP/1.1 answers in a stream of bytes (RFC 9112 §6): as little of it as a load
 * generator needs. Answers carry a Content-Length; proxies may add any header.
 */
export class ResponseReader {
  #head: Buffer | undefined;
  #bodyLeft = 0;

  /**
   * How many answers end in these bytes.
   * @throws {Error} for a status other than 200, and an answer without Content-Length
   */
  push(bytes: Buffer): number {
    let complete = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#bodyLeft === 0) {
        const taken = this.#readHead(bytes.subarray(at));
        if (taken === undefined) return complete;
        at += taken;
      }
      const part = Math.min(this.#bodyLeft, bytes.length - at);
      this.#bodyLeft -= part;
      at += part;
      if (this.#bodyLeft === 0) complete++;
    }
    return complete;
  }

  /** Bytes of a head that ends here, now known by its body's length; undefined when more must come. */
  #readHead(bytes: Buffer): number | undefined {
    const before = this.#head?.length ?? 0;
    const text = this.#head === undefined ? bytes : Buffer.concat([this.#head, bytes]);
    const end = text.indexOf(HEAD_END);
    if (end < 0) {
      if (text.length > MOST_HEAD_BYTES)
        throw new Error('Cannot read an answer: its head is endless');
      this.#head = Buffer.from(text);
      return undefined;
    }
    this.#head = undefined;
    this.#bodyLeft = bodyLengthOf(text.toString('latin1', 0, end));
    return end + HEAD_END.length - before;
  }
}

function bodyLengthOf(head: string): number {
  if (head.slice(STATUS_AT, STATUS_AT + 3) !== '200') {
    throw new Error(`Cannot use an answer: "${head.split('\r\n', 1)[0]}", status 200 is wished`);
  }
  const found = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (found === null) throw new Error('Cannot use an answer: it has no Content-Length');
  return Number(found[1]);
}
