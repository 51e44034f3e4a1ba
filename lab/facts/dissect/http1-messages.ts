import type { PlainStream } from './byte-stream.ts';
import type { Http1Message, Side } from './types.ts';

const MAX_HEAD_BYTES = 64 * 1024;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: .*)?$/;

/** True where what the client said may begin with a request line of HTTP/1. */
export function beginsHttp1(head: Buffer): boolean {
  return /^[A-Z]{3,16} \S/.test(head.toString('latin1'));
}

/**
 * Reads the requests and responses of both sides, in order of each side; bodies are stepped over.
 * Ends where the protocol is switched, at CONNECT's tunnel, and at what is no HTTP/1.
 */
export function readHttp1(client: PlainStream, server: PlainStream): Http1Message[] {
  const requests = new SideReader('client', client, () => undefined).read();
  let answered = 0;
  const responses = new SideReader('server', server, (message) => {
    const method = requests[answered]?.method;
    if ((message.status ?? 0) >= 200) answered++;
    return method;
  }).read();
  return [...requests, ...responses];
}

type Step = 'head' | 'body' | 'chunk-size' | 'chunk' | 'trailers' | 'opaque';

class SideReader {
  readonly #side: Side;
  readonly #plain: PlainStream;
  /** Method that a response answers; undefined for requests. */
  readonly #methodOf: (message: Http1Message) => string | undefined;
  readonly #messages: Http1Message[] = [];
  #step: Step = 'head';
  #bodyLeft = 0;
  /** Text that waits for the end of its head or line, and where it starts. */
  #text = '';
  #textStart = 0;

  constructor(
    side: Side,
    plain: PlainStream,
    methodOf: (message: Http1Message) => string | undefined,
  ) {
    this.#side = side;
    this.#plain = plain;
    this.#methodOf = methodOf;
  }

  read(): Http1Message[] {
    const { pieces } = this.#plain;
    for (let i = 0; i < pieces.length && !this.#isOpaque; i++) {
      const piece = pieces[i]!;
      for (let at = 0; at < piece.length && !this.#isOpaque;) at = this.#take(piece, at, i);
    }
    return this.#messages;
  }

  get #isOpaque(): boolean {
    return this.#step === 'opaque';
  }

  /** Takes bytes of a piece from `at` on; returns where to go on. */
  #take(piece: Buffer, at: number, index: number): number {
    if (this.#step === 'body' || this.#step === 'chunk') {
      const bytes = Math.min(this.#bodyLeft, piece.length - at);
      this.#bodyLeft -= bytes;
      if (this.#bodyLeft === 0) this.#step = this.#step === 'chunk' ? 'chunk-size' : 'head';
      return at + bytes;
    }
    if (this.#text === '') this.#textStart = this.#plain.starts[index]! + this.#inTcp(index, at);
    const before = this.#text.length;
    this.#text += piece.toString('latin1', at, Math.min(piece.length, at + MAX_HEAD_BYTES));
    const mark = this.#step === 'head' ? '\r\n\r\n' : '\r\n';
    const found = this.#text.indexOf(mark, Math.max(0, before - mark.length));
    // Trailers end with an empty line, which may be all that there is.
    const isEmptyTrailer = this.#step === 'trailers' && this.#text.startsWith('\r\n');
    if (found < 0 && !isEmptyTrailer) {
      if (this.#text.length > MAX_HEAD_BYTES) this.#step = 'opaque';
      return piece.length;
    }
    const text = this.#text.slice(0, found);
    const next = at + found + mark.length - before;
    this.#text = '';
    this.#line(text, { start: this.#textStart, end: this.#tcpEnd(index, next) });
    return next;
  }

  /** Content of records has no place of its own in the TCP stream. */
  #inTcp(index: number, at: number): number {
    return this.#isBare(index) ? at : 0;
  }

  #tcpEnd(index: number, at: number): number {
    return this.#isBare(index) ? this.#plain.starts[index]! + at : this.#plain.ends[index]!;
  }

  #isBare(index: number): boolean {
    const { starts, ends, pieces } = this.#plain;
    return ends[index]! - starts[index]! === pieces[index]!.length;
  }

  #line(text: string, at: { start: number; end: number }): void {
    if (this.#step === 'head') return this.#head(text, at);
    if (this.#step === 'trailers') {
      if (text === '') this.#step = 'head';
      return;
    }
    // A chunk: its size line, then the bytes and their line end.
    const size = /^[0-9a-f]{1,8}/i.exec(text)?.[0];
    if (size === undefined) this.#step = 'opaque';
    else if (Number.parseInt(size, 16) === 0) this.#step = 'trailers';
    else {
      this.#step = 'chunk';
      this.#bodyLeft = Number.parseInt(size, 16) + 2;
    }
  }

  #head(text: string, at: { start: number; end: number }): void {
    const [line = '', ...rest] = text.split('\r\n');
    const headers = rest.map((field): [string, string] => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    });
    const request = this.#side === 'client' ? REQUEST_LINE.exec(line) : null;
    const status = this.#side === 'server' ? STATUS_LINE.exec(line) : null;
    if (!request && !status) {
      this.#step = 'opaque';
      return;
    }
    const message: Http1Message = {
      side: this.#side,
      line,
      headers,
      ...(request && { method: request[1], target: request[2] }),
      ...(status && { status: Number(status[1]) }),
      ...at,
    };
    this.#messages.push(message);
    this.#expectBody(message);
  }

  /** RFC 9112 section 6.3. */
  #expectBody(message: Http1Message): void {
    const method = this.#methodOf(message);
    const status = message.status ?? 0;
    const length = headerOf(message, 'content-length');
    if (
      message.method === 'CONNECT' ||
      status === 101 ||
      (method === 'CONNECT' && status === 200)
    ) {
      this.#step = 'opaque';
    } else if (
      method === 'HEAD' ||
      (status >= 100 && status < 200) ||
      status === 204 ||
      status === 304
    ) {
      this.#step = 'head';
    } else if (/\bchunked$/i.test(headerOf(message, 'transfer-encoding') ?? '')) {
      this.#step = 'chunk-size';
    } else if (length !== undefined) {
      this.#bodyLeft = Number.parseInt(length, 10);
      if (!(this.#bodyLeft >= 0)) this.#step = 'opaque';
      else this.#step = this.#bodyLeft > 0 ? 'body' : 'head';
    } else this.#step = this.#side === 'client' ? 'head' : 'opaque';
  }
}

function headerOf(message: Http1Message, name: string): string | undefined {
  return message.headers.find(([key]) => key === name)?.[1];
}
