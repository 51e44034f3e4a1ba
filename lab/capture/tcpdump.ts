import { EventEmitter } from 'node:events';
import pcapParser from 'pcap-parser';
import {
  MAX_PCAP_PACKET_BYTES,
  PCAP_HEADER_BYTES,
  PCAP_PACKET_HEADER_BYTES,
  pcapFormat,
  type PcapFrame,
} from './pcap.ts';
import { BLOCK } from './pcapng.ts';
import { encodePacket, encodePcapngHead, type NewInterface } from './pcapng-write.ts';

export type PcapStreamFault = 'not-pcap' | 'pcapng' | 'nanoseconds' | 'truncated' | 'packet';

/** A stream that is not what `tcpdump -U -w -` writes, or ends inside a packet. */
export class PcapStreamError extends Error {
  override readonly name = 'PcapStreamError';
  readonly code = 'LAB_PCAP_STREAM';
  readonly fault: PcapStreamFault;
  /** Bytes of the stream that were whole packets. */
  readonly offset: number;

  constructor(fault: PcapStreamFault, message: string, offset: number) {
    super(message);
    this.fault = fault;
    this.offset = offset;
  }
}

interface PcapHeader {
  readonly linkLayerType: number;
}

interface PcapPacketHeader {
  readonly timestampSeconds: number;
  readonly timestampMicroseconds: number;
  readonly capturedLength: number;
  readonly originalLength: number;
}

/**
 * Frames of a classic pcap stream with microseconds, as a running `tcpdump -U -w -` writes it, as
 * they come. Ends with the stream; a consumer that stops early ends the stream.
 * @throws PcapStreamError on another format, and where the stream ends inside a packet
 */
export async function* pcapFrames(
  stream: AsyncIterable<Buffer>,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<PcapFrame> {
  const feed = new ParserFeed();
  for await (const chunk of stream) {
    options.signal?.throwIfAborted();
    yield* feed.push(chunk);
  }
  feed.end();
}

/**
 * The same stream as pcapng with nanosecond time stamps, so that the dissector and the files of a
 * run can take it: first the head of the file, then one piece for each frame.
 * @throws PcapStreamError
 */
export async function* pcapngOfPcap(
  stream: AsyncIterable<Buffer>,
  description: Omit<NewInterface, 'linkType'>,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Buffer> {
  let hasHead = false;
  for await (const frame of pcapFrames(stream, options)) {
    if (!hasHead)
      yield encodePcapngHead({ interfaces: [{ ...description, linkType: frame.linkType }] });
    hasHead = true;
    yield encodePacket({ ...frame, interfaceId: 0 });
  }
  if (!hasHead) yield encodePcapngHead({ interfaces: [description] });
}

/** Hands chunks to pcap-parser and takes what it found; it knows neither limits nor truncation. */
class ParserFeed {
  readonly #input = new ParserInput();
  readonly #parser = pcapParser.parse(this.#input);
  #frames: PcapFrame[] = [];
  #start: Buffer = Buffer.alloc(0);
  #hasFormat = false;
  #linkType = 0;
  #received = 0;
  #wholeBytes = 0;
  #fault: PcapStreamError | undefined;

  constructor() {
    this.#parser.on('globalHeader', ({ linkLayerType }: PcapHeader) => {
      this.#linkType = linkLayerType;
      this.#wholeBytes = PCAP_HEADER_BYTES;
    });
    this.#parser.on('packetHeader', ({ capturedLength }: PcapPacketHeader) => {
      if (capturedLength > MAX_PCAP_PACKET_BYTES) {
        this.#fault ??= this.#error('packet', `packet of ${capturedLength} bytes`);
      }
    });
    this.#parser.on('packet', ({ header, data }: { header: PcapPacketHeader; data: Buffer }) => {
      this.#wholeBytes += PCAP_PACKET_HEADER_BYTES + data.length;
      this.#frames.push(this.#frameOf(header, data));
    });
    this.#parser.on('error', ({ message }: Error) => {
      this.#fault ??= this.#error('not-pcap', message);
    });
  }

  push(chunk: Buffer): PcapFrame[] {
    let bytes = chunk;
    this.#received += chunk.length;
    if (!this.#hasFormat) {
      bytes = this.#start = Buffer.concat([this.#start, chunk]);
      if (bytes.length < 4) return [];
      this.#checkFormat(bytes.readUInt32BE(0));
      this.#hasFormat = true;
    }
    // The parser would join with the deprecated Buffer(), so it must find nothing to join.
    const held = this.#parser.buffer;
    this.#parser.buffer = null;
    this.#input.emit('data', held && held.length > 0 ? Buffer.concat([held, bytes]) : bytes);
    if (this.#fault) throw this.#fault;
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  end(): void {
    if (!this.#hasFormat || this.#wholeBytes < PCAP_HEADER_BYTES) {
      throw this.#error('truncated', 'it ends before the file header does');
    }
    if (this.#received > this.#wholeBytes) {
      const bytes = this.#received - this.#wholeBytes;
      throw this.#error('truncated', `it ends ${bytes} bytes into a packet`);
    }
  }

  #checkFormat(magic: number): void {
    const format = pcapFormat(magic);
    if (format?.unitNs === 1000n) return;
    if (magic === BLOCK.section) throw this.#error('pcapng', 'it is pcapng, classic pcap wished');
    if (format !== undefined) {
      throw this.#error('nanoseconds', 'its times are nanoseconds, microseconds wished');
    }
    throw this.#error('not-pcap', `first bytes are 0x${magic.toString(16).padStart(8, '0')}`);
  }

  #frameOf(header: PcapPacketHeader, data: Buffer): PcapFrame {
    const { timestampSeconds, timestampMicroseconds, originalLength } = header;
    return {
      linkType: this.#linkType,
      timeNs: BigInt(timestampSeconds) * 1_000_000_000n + BigInt(timestampMicroseconds) * 1000n,
      data,
      originalBytes: Math.max(originalLength, data.length),
    };
  }

  #error(fault: PcapStreamFault, seen: string): PcapStreamError {
    return new PcapStreamError(fault, `Cannot read pcap stream: ${seen}`, this.#wholeBytes);
  }
}

/** What pcap-parser takes for a stream: chunks are handed to it as events, at our pace. */
class ParserInput extends EventEmitter {
  pause(): void {}

  resume(): void {}
}
