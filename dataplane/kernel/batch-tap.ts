import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { nativePath } from './addon.ts';

/** Descriptor by which a tapped program writes its batches. */
export const TAP_FD = 3;

const LENGTH_BYTES = 4;

/**
 * Environment in which a program of nf_tables (iptables-restore of the nft backend, nft) also writes
 * every batch that it sends to descriptor {@link TAP_FD}; nothing where the shim was not built.
 */
export function tapEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> | undefined {
  const shim = join(dirname(nativePath), 'batch-tap.so');
  if (!existsSync(shim)) return undefined;
  const preload = [shim, env['LD_PRELOAD']].filter(Boolean).join(':');
  return { ...env, LD_PRELOAD: preload, NETLINK_BATCH_TAP: String(TAP_FD) };
}

/** The batches in what a tapped program wrote, each behind its length; a cut one is left out. */
export function splitTapped(bytes: Buffer): readonly Buffer[] {
  const batches: Buffer[] = [];
  for (let at = 0; at + LENGTH_BYTES <= bytes.length;) {
    const end = at + LENGTH_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    batches.push(bytes.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  return batches;
}
