import * as zlib from 'node:zlib';
import { WireError } from './errors.ts';

/** Longest certificate message that is unpacked; chains of the field have a few kilobytes. */
const MOST_BYTES = 256 * 1024;
const HEADER_BYTES = 8;

type Unpack = (bytes: Buffer, options: { maxOutputLength: number }) => Buffer;

/** Algorithms of RFC 8879 section 7.3; Node has zstd from 22.15 on. */
const ALGORITHMS: Readonly<Record<number, { readonly name: string; readonly unpack?: Unpack }>> = {
  1: { name: 'zlib', unpack: zlib.inflateSync },
  2: { name: 'brotli', unpack: zlib.brotliDecompressSync },
  3: { name: 'zstd', unpack: (zlib as { zstdDecompressSync?: Unpack }).zstdDecompressSync },
};

/**
 * The Certificate body inside a CompressedCertificate (RFC 8879 section 4), as OpenSSL 3.2 and
 * later send it where both sides can. @throws WireError
 */
export function unpackCertificate(body: Buffer): Buffer {
  if (body.length < HEADER_BYTES) throw fault(`${body.length} bytes, at least ${HEADER_BYTES}`);
  const algorithm = ALGORITHMS[body.readUInt16BE(0)];
  if (algorithm === undefined) throw fault(`algorithm ${body.readUInt16BE(0)}, zlib, brotli, zstd`);
  const length = body.readUIntBE(2, 3);
  const packed = body.subarray(HEADER_BYTES, HEADER_BYTES + body.readUIntBE(5, 3));
  if (packed.length !== body.readUIntBE(5, 3)) throw fault('it is cut short, whole');
  if (length > MOST_BYTES) throw fault(`${length} bytes unpacked, at most ${MOST_BYTES}`);
  if (algorithm.unpack === undefined) {
    throw fault(`packed by ${algorithm.name}, which this Node lacks, zlib or brotli`);
  }
  const plain = unpack(algorithm.unpack, packed, length);
  if (plain?.length !== length) throw fault(`not ${length} bytes of ${algorithm.name}, just these`);
  return plain;
}

function unpack(how: Unpack, packed: Buffer, length: number): Buffer | undefined {
  try {
    return how(packed, { maxOutputLength: Math.max(length, 1) });
  } catch {
    return undefined;
  }
}

function fault(seenAndWished: string): WireError {
  return new WireError('tls', `Cannot unpack TLS certificate: ${seenAndWished} wished`, 0);
}
