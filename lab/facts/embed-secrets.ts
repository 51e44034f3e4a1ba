import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { BLOCK } from '../capture/pcapng.ts';
import { encodeSecrets } from '../capture/pcapng-write.ts';
import type { RunFacts } from './facts.ts';

/**
 * Puts the run's TLS secrets into every interface file that saw a TLS session, behind the section
 * header: Wireshark uses secrets only for what comes after them. A file that has them already, or
 * that is no pcapng, is left as it is. Frame numbers stay.
 */
export async function embedSecrets(dir: string, facts: RunFacts): Promise<void> {
  const keyLog = await readFile(join(dir, CAPTURE_FILES.keys), 'utf8').catch(() => '');
  if (keyLog === '') return;
  const block = encodeSecrets(keyLog);
  const encrypted = facts.connections.filter(({ tls }) => tls !== undefined);
  const files = encrypted.flatMap(({ sightings }) => sightings.map(({ file }) => file));
  for (const file of new Set(files)) await insertAfterSection(join(dir, file), block);
}

async function insertAfterSection(path: string, block: Buffer): Promise<void> {
  const head = await readSection(path);
  if (head === undefined) return;
  const fresh = `${path}.fresh`;
  const out = createWriteStream(fresh);
  out.write(head);
  out.write(block);
  await pipeline(createReadStream(path, { start: head.length }), out);
  await rename(fresh, path);
}

/** The section header block, when what follows it is not secrets already. */
async function readSection(path: string): Promise<Buffer | undefined> {
  await using file = await open(path, 'r');
  const start = Buffer.alloc(8);
  await file.read(start, 0, 8, 0);
  const length = start.readUInt32LE(4);
  if (start.readUInt32LE(0) !== BLOCK.section || length < 28 || length > 65_536) return undefined;
  const head = Buffer.alloc(length + 4);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  if (bytesRead < head.length || head.readUInt32LE(length) === BLOCK.secrets) return undefined;
  return head.subarray(0, length);
}
