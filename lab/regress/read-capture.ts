import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { isPcap, PcapFileError, readPcap } from '../capture/pcap-read.ts';
import { PcapngError } from '../capture/pcapng.ts';
import { encodePacket, encodePcapngHead } from '../capture/pcapng-write.ts';
import { dissect, type Dissection } from '../facts/dissect/dissect.ts';

/** A file that is no capture, or not a whole one. */
export class CaptureFileError extends Error {
  override readonly name = 'CaptureFileError';
  readonly code = 'LAB_FILE_CAPTURE';
  readonly file: string;
  /** Byte of the file at which it goes wrong; absent when it cannot be opened. */
  readonly offset?: number;

  constructor(file: string, reason: string, offset?: number, cause?: unknown) {
    const at = offset === undefined ? '' : ` at byte ${offset}`;
    super(`Cannot read the capture "${file}"${at}: ${reason}`, { cause });
    this.file = file;
    if (offset !== undefined) this.offset = offset;
  }
}

/**
 * Dissects a capture file of any maker: pcapng, or classic pcap with microseconds or nanoseconds.
 * Secrets come from `keyLog` (NSS key log text) and from the file itself.
 * @throws CaptureFileError
 */
export async function readCapture(file: string, keyLog = ''): Promise<Dissection> {
  return dissectFile(file, await readBytes(file), keyLog);
}

/** The same of bytes that were read already. @throws CaptureFileError */
export function dissectFile(file: string, bytes: Buffer, keyLog = ''): Dissection {
  try {
    return dissect([isPcap(bytes) ? asPcapng(bytes) : bytes], keyLog);
  } catch (error) {
    if (error instanceof PcapngError && error.fault === 'not-pcapng') {
      throw new CaptureFileError(file, 'it is neither pcapng nor pcap', undefined, error);
    }
    if (error instanceof PcapngError || error instanceof PcapFileError) {
      throw new CaptureFileError(file, error.message, error.offset, error);
    }
    throw error;
  }
}

/** What a capture without names for its interfaces calls the one that it has. */
export const UNNAMED = 'capture';

/** A classic pcap as the pcapng that the dissector takes, frame by frame. @throws PcapFileError */
export function asPcapng(file: Buffer): Buffer {
  const frames = readPcap(file);
  const linkType = frames[0]?.linkType;
  const head = encodePcapngHead({
    interfaces: [{ name: UNNAMED, ...(linkType !== undefined && { linkType }) }],
  });
  return Buffer.concat([head, ...frames.map((each) => encodePacket({ ...each, interfaceId: 0 }))]);
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such file' : message;
    throw new CaptureFileError(file, reason, undefined, cause);
  }
}

/** Name of a capture in the title of its baseline. */
export function captureTitle(file: string): string {
  return `capture ${basename(file)}`;
}
