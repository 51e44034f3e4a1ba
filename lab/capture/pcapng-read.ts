import { formatIpv4, formatIpv6 } from '../../dataplane/wire/ip-address.ts';
import { readMark } from './pcapng-mark.ts';
import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  OPTION,
  PcapngError,
  TLS_KEY_LOG,
  type PcapngInterface,
} from './pcapng.ts';

/** One frame while its handler runs; the object is reused for the next. */
export interface PacketBlock {
  interface: PcapngInterface;
  /** Time stamp in ticks of the interface: `high * 2 ** 32 + low`. Both 0 in simple packets. */
  timeHigh: number;
  timeLow: number;
  /** Where the frame's bytes are in the buffer given to the handler. */
  dataOffset: number;
  capturedBytes: number;
  originalBytes: number;
  /** `epb_flags`, 0 where absent. */
  flags: number;
  /** Socket mark, 0 where none is told. */
  mark: number;
}

export interface PcapngHandler {
  /** `buffer` is the one given to `push`, or a copy of one block; valid during the call only. */
  packet(buffer: Buffer, packet: Readonly<PacketBlock>): void;
  interface?(description: PcapngInterface): void;
  /** NSS key log text of a Decryption Secrets Block. */
  keyLog?(text: string): void;
  name?(address: string, name: string): void;
  statistics?(description: PcapngInterface, received: bigint, dropped: bigint): void;
  /** Comments of sections, interfaces and packets, marks excepted. */
  comment?(text: string): void;
}

const MIN_BLOCK_BYTES = 12;
/** More than any frame or key log of a lab; a bound on what one wrong length makes us hold. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;

/**
 * Reads pcapng of either byte order, in pieces or as one buffer. Blocks that lie whole in a piece
 * are not copied; at most one block is held. Unknown blocks are stepped over.
 */
export class PcapngReader {
  readonly #handler: PcapngHandler;
  readonly #packet: PacketBlock;
  #interfaces: PcapngInterface[] = [];
  #isLittleEndian = true;
  #hasSection = false;
  #held: Buffer = EMPTY;
  #heldBytes = 0;
  /** Bytes of the file before the buffer that is being read. */
  #base = 0;

  constructor(handler: PcapngHandler) {
    this.#handler = handler;
    this.#packet = {
      interface: NO_INTERFACE,
      timeHigh: 0,
      timeLow: 0,
      dataOffset: 0,
      capturedBytes: 0,
      originalBytes: 0,
      flags: 0,
      mark: 0,
    };
  }

  /**
   * Takes the next bytes of the file.
   * @throws PcapngError
   */
  push(piece: Buffer): void {
    let at = 0;
    while (this.#heldBytes > 0 && at < piece.length) at = this.#fillHeld(piece, at);
    if (this.#heldBytes > 0) return;
    const done = this.#readBlocks(piece, at, piece.length);
    this.#base += done - at;
    if (done < piece.length) this.#hold(piece, done, piece.length);
  }

  /**
   * Says that the file has ended.
   * @throws PcapngError where it ended inside a block or before any
   */
  end(): void {
    if (this.#heldBytes > 0) {
      throw this.#error('truncated', `file ends after ${this.#heldBytes} bytes of a block`, 0);
    }
    if (!this.#hasSection) throw this.#error('not-pcapng', 'file is empty', 0);
  }

  /** Adds to the held block what it lacks, and reads it once whole. */
  #fillHeld(piece: Buffer, at: number): number {
    const wanted =
      this.#heldBytes < MIN_BLOCK_BYTES ? MIN_BLOCK_BYTES : this.#blockLength(this.#held, 0, 0);
    const end = Math.min(piece.length, at + wanted - this.#heldBytes);
    this.#hold(piece, at, end);
    if (this.#heldBytes < MIN_BLOCK_BYTES) return end;
    const length = this.#blockLength(this.#held, 0, 0);
    if (this.#heldBytes < length) return end;
    const block = this.#held.subarray(0, length);
    this.#heldBytes = 0;
    this.#readBlocks(block, 0, length);
    this.#base += length;
    return end;
  }

  #hold(piece: Buffer, start: number, end: number): void {
    const needed = this.#heldBytes + end - start;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#held.length * 2, 4096));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    piece.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = needed;
  }

  /** Reads whole blocks from `start`; returns where the first that is not whole begins. */
  #readBlocks(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (end - at >= MIN_BLOCK_BYTES) {
      const length = this.#blockLength(buffer, at, at - start);
      if (length > end - at) break;
      if (this.#uint32(buffer, at + length - 4) !== length) {
        throw this.#error('block-length', 'lengths at start and end of a block differ', at - start);
      }
      this.#readBlock(buffer, at, at + length, at - start);
      at += length;
    }
    return at;
  }

  /** Total length of the block at `at`; a section header sets the byte order first. */
  #blockLength(buffer: Buffer, at: number, offset: number): number {
    const isSection = buffer.readUInt32LE(at) === BLOCK.section;
    if (isSection) {
      const magic = buffer.readUInt32LE(at + 8);
      if (magic === BYTE_ORDER_MAGIC) this.#isLittleEndian = true;
      else if (buffer.readUInt32BE(at + 8) === BYTE_ORDER_MAGIC) this.#isLittleEndian = false;
      else throw this.#error('byte-order', `byte-order magic 0x${magic.toString(16)}`, offset);
    } else if (!this.#hasSection) {
      const magic = buffer.toString('hex', at, at + 4);
      throw this.#error('not-pcapng', `first bytes are 0x${magic}`, offset);
    }
    const length = this.#uint32(buffer, at + 4);
    if (length < MIN_BLOCK_BYTES || length % 4 !== 0) {
      throw this.#error('block-length', `block length ${length}`, offset);
    }
    if (length > MAX_BLOCK_BYTES) {
      throw this.#error('block-too-long', `block of ${length} bytes`, offset);
    }
    return length;
  }

  #readBlock(buffer: Buffer, at: number, end: number, offset: number): void {
    const body = at + 8;
    const bodyEnd = end - 4;
    switch (this.#uint32(buffer, at)) {
      case BLOCK.enhancedPacket:
        return this.#readEnhancedPacket(buffer, body, bodyEnd, offset);
      case BLOCK.simplePacket:
        return this.#readSimplePacket(buffer, body, bodyEnd, offset);
      case BLOCK.section:
        return this.#readSection(buffer, body, bodyEnd, offset);
      case BLOCK.interface:
        return this.#readInterface(buffer, body, bodyEnd, offset);
      case BLOCK.secrets:
        return this.#readSecrets(buffer, body, bodyEnd, offset);
      case BLOCK.names:
        return this.#readNames(buffer, body, bodyEnd, offset);
      case BLOCK.statistics:
        return this.#readStatistics(buffer, body, bodyEnd, offset);
      default:
    }
  }

  #readSection(buffer: Buffer, body: number, end: number, offset: number): void {
    if (end - body < 16) throw this.#error('block-length', 'section header too short', offset);
    const major = this.#uint16(buffer, body + 4);
    if (major !== 1) throw this.#error('version', `version ${major}, 1 wished`, offset);
    this.#hasSection = true;
    this.#interfaces = [];
    this.#comments(buffer, body + 16, end, offset);
  }

  #readInterface(buffer: Buffer, body: number, end: number, offset: number): void {
    if (end - body < 8) throw this.#error('interface', 'interface block too short', offset);
    let name = '';
    let text = '';
    let mac: string | undefined;
    let ticksPerSecond = 1e6;
    let offsetSeconds = 0n;
    this.#options(buffer, body + 8, end, offset, (code, at, length) => {
      if (code === OPTION.interfaceName) name = buffer.toString('utf8', at, at + length);
      else if (code === OPTION.interfaceDescription)
        text = buffer.toString('utf8', at, at + length);
      else if (code === OPTION.interfaceMac && length === 6) {
        mac = buffer.toString('hex', at, at + 6).replace(/..(?=.)/g, '$&:');
      } else if (code === OPTION.interfaceResolution && length === 1) {
        const exponent = buffer[at]! & 0x7f;
        ticksPerSecond = buffer[at]! & 0x80 ? 2 ** exponent : 10 ** exponent;
      } else if (code === OPTION.interfaceTimeOffset && length === 8) {
        offsetSeconds = this.#isLittleEndian
          ? buffer.readBigInt64LE(at)
          : buffer.readBigInt64BE(at);
      } else if (code === OPTION.comment) {
        this.#handler.comment?.(buffer.toString('utf8', at, at + length));
      }
    });
    if (ticksPerSecond > 1e12) {
      throw this.#error('interface', `resolution of 1/${ticksPerSecond} s`, offset);
    }
    const description: PcapngInterface = {
      id: this.#interfaces.length,
      linkType: this.#uint16(buffer, body),
      snapLength: this.#uint32(buffer, body + 4),
      name,
      description: text,
      mac,
      ticksPerSecond,
      offsetSeconds,
    };
    this.#interfaces.push(description);
    this.#handler.interface?.(description);
  }

  #readEnhancedPacket(buffer: Buffer, body: number, end: number, offset: number): void {
    if (end - body < 20) throw this.#error('packet', 'packet block too short', offset);
    const packet = this.#packet;
    packet.interface = this.#interfaceOf(this.#uint32(buffer, body), offset);
    packet.timeHigh = this.#uint32(buffer, body + 4);
    packet.timeLow = this.#uint32(buffer, body + 8);
    packet.capturedBytes = this.#uint32(buffer, body + 12);
    packet.originalBytes = this.#uint32(buffer, body + 16);
    packet.dataOffset = body + 20;
    packet.flags = 0;
    packet.mark = 0;
    const optionsAt = packet.dataOffset + ((packet.capturedBytes + 3) & ~3);
    // The sum wraps for lengths near 2 ** 32, so the length itself is compared as well.
    if (packet.capturedBytes > end - packet.dataOffset || optionsAt > end) {
      throw this.#error('packet', `${packet.capturedBytes} bytes in a shorter block`, offset);
    }
    if (optionsAt < end) this.#packetOptions(buffer, optionsAt, end, offset);
    this.#handler.packet(buffer, packet);
  }

  #packetOptions(buffer: Buffer, optionsAt: number, end: number, offset: number): void {
    for (let at = optionsAt; at + 4 <= end;) {
      const code = this.#uint16(buffer, at);
      const length = this.#uint16(buffer, at + 2);
      const value = at + 4;
      if (code === OPTION.end) return;
      if (value + length > end) throw this.#error('option', `option of ${length} bytes`, offset);
      if (code === OPTION.packetFlags && length === 4) {
        this.#packet.flags = this.#uint32(buffer, value);
      } else if (code === OPTION.comment) {
        const mark = readMark(buffer, value, value + length);
        if (mark > 0) this.#packet.mark = mark;
        else this.#handler.comment?.(buffer.toString('utf8', value, value + length));
      }
      at = value + ((length + 3) & ~3);
    }
  }

  #readSimplePacket(buffer: Buffer, body: number, end: number, offset: number): void {
    if (end - body < 4) throw this.#error('packet', 'packet block too short', offset);
    const packet = this.#packet;
    packet.interface = this.#interfaceOf(0, offset);
    packet.timeHigh = 0;
    packet.timeLow = 0;
    packet.originalBytes = this.#uint32(buffer, body);
    packet.dataOffset = body + 4;
    const { snapLength } = packet.interface;
    const most =
      snapLength === 0 ? packet.originalBytes : Math.min(packet.originalBytes, snapLength);
    packet.capturedBytes = Math.min(most, end - packet.dataOffset);
    packet.flags = 0;
    packet.mark = 0;
    this.#handler.packet(buffer, packet);
  }

  #interfaceOf(id: number, offset: number): PcapngInterface {
    const description = this.#interfaces[id];
    if (!description) throw this.#error('interface', `packet of unknown interface ${id}`, offset);
    return description;
  }

  #readSecrets(buffer: Buffer, body: number, end: number, offset: number): void {
    if (end - body < 8) throw this.#error('secrets', 'secrets block too short', offset);
    const length = this.#uint32(buffer, body + 4);
    if (length > end - body - 8) {
      throw this.#error('secrets', `${length} bytes of secrets in a shorter block`, offset);
    }
    if (this.#uint32(buffer, body) !== TLS_KEY_LOG) return;
    this.#handler.keyLog?.(buffer.toString('latin1', body + 8, body + 8 + length));
  }

  #readNames(buffer: Buffer, body: number, end: number, offset: number): void {
    for (let at = body; at + 4 <= end;) {
      const type = this.#uint16(buffer, at);
      const length = this.#uint16(buffer, at + 2);
      const value = at + 4;
      if (type === 0) return this.#comments(buffer, value, end, offset);
      if (value + length > end) throw this.#error('names', `record of ${length} bytes`, offset);
      const addressBytes = type === 1 ? 4 : type === 2 ? 16 : 0;
      if (addressBytes > 0 && length > addressBytes) {
        const format = type === 1 ? formatIpv4 : formatIpv6;
        const names = buffer.toString('utf8', value + addressBytes, value + length).split('\0');
        for (const name of names) {
          if (name !== '') this.#handler.name?.(format(buffer, value), name);
        }
      }
      at = value + ((length + 3) & ~3);
    }
  }

  #readStatistics(buffer: Buffer, body: number, end: number, offset: number): void {
    if (end - body < 12) throw this.#error('interface', 'statistics block too short', offset);
    const description = this.#interfaceOf(this.#uint32(buffer, body), offset);
    let received = 0n;
    let dropped = 0n;
    this.#options(buffer, body + 12, end, offset, (code, at, length) => {
      if (length !== 8) return;
      const count = this.#isLittleEndian ? buffer.readBigUInt64LE(at) : buffer.readBigUInt64BE(at);
      if (code === OPTION.statisticsReceived) received = count;
      else if (code === OPTION.statisticsDropped) dropped = count;
    });
    this.#handler.statistics?.(description, received, dropped);
  }

  #comments(buffer: Buffer, start: number, end: number, offset: number): void {
    this.#options(buffer, start, end, offset, (code, at, length) => {
      if (code === OPTION.comment) {
        this.#handler.comment?.(buffer.toString('utf8', at, at + length));
      }
    });
  }

  #options(
    buffer: Buffer,
    start: number,
    end: number,
    offset: number,
    onOption: (code: number, at: number, length: number) => void,
  ): void {
    for (let at = start; at + 4 <= end;) {
      const code = this.#uint16(buffer, at);
      const length = this.#uint16(buffer, at + 2);
      if (code === OPTION.end) return;
      if (at + 4 + length > end) {
        throw this.#error('option', `option of ${length} bytes in a shorter block`, offset);
      }
      onOption(code, at + 4, length);
      at += 4 + ((length + 3) & ~3);
    }
  }

  #uint16(buffer: Buffer, at: number): number {
    return this.#isLittleEndian
      ? buffer[at]! | (buffer[at + 1]! << 8)
      : (buffer[at]! << 8) | buffer[at + 1]!;
  }

  #uint32(buffer: Buffer, at: number): number {
    const a = buffer[at]!;
    const b = buffer[at + 1]!;
    const c = buffer[at + 2]!;
    const d = buffer[at + 3]!;
    const value = this.#isLittleEndian
      ? a | (b << 8) | (c << 16) | (d << 24)
      : (a << 24) | (b << 16) | (c << 8) | d;
    return value >>> 0;
  }

  #error(fault: PcapngError['fault'], seen: string, offset: number): PcapngError {
    return new PcapngError(fault, `Cannot read pcapng: ${seen}`, this.#base + offset);
  }
}

const EMPTY = Buffer.alloc(0);

const NO_INTERFACE: PcapngInterface = {
  id: -1,
  linkType: 0,
  snapLength: 0,
  name: '',
  description: '',
  ticksPerSecond: 1e6,
  offsetSeconds: 0n,
};
