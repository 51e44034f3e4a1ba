import { createHmac } from 'node:crypto';
import type { TlsSuite } from './tls.ts';

/** Labels of the NSS key log format that TLS 1.3 decryption needs. */
export const KEY_LOG_LABEL = {
  clientHandshake: 'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
  serverHandshake: 'SERVER_HANDSHAKE_TRAFFIC_SECRET',
  clientApplication: 'CLIENT_TRAFFIC_SECRET_0',
  serverApplication: 'SERVER_TRAFFIC_SECRET_0',
} as const;

/** Secrets by client random (lower case hexadecimal), then by label. */
export type KeyLog = ReadonlyMap<string, ReadonlyMap<string, Buffer>>;

/**
 * Reads an NSS key log; comments and lines of another form are skipped, as every reader of the
 * format does. Where a secret stands twice the last holds.
 */
export function parseKeyLog(text: string): KeyLog {
  const log = new Map<string, Map<string, Buffer>>();
  for (const line of text.split('\n')) {
    const [label = '', random = '', secret = '', more] = line.trim().split(' ');
    if (more !== undefined || random.length !== 64 || !/^(?:[0-9a-f]{2}){16,64}$/i.test(secret)) {
      continue;
    }
    const key = random.toLowerCase();
    const secrets = log.get(key) ?? new Map<string, Buffer>();
    if (secrets.size === 0) log.set(key, secrets);
    secrets.set(label, Buffer.from(secret, 'hex'));
  }
  return log;
}

/** HKDF-Expand-Label of RFC 8446 section 7.1, for outputs of one hash block at most. */
export function hkdfExpandLabel(
  hash: TlsSuite['hash'],
  secret: Uint8Array,
  label: string,
  bytes: number,
): Buffer {
  const name = `tls13 ${label}`;
  const info = Buffer.alloc(2 + 1 + name.length + 1 + 1);
  info.writeUInt16BE(bytes, 0);
  info[2] = name.length;
  info.write(name, 3, 'latin1');
  info[info.length - 1] = 1;
  return createHmac(hash, secret).update(info).digest().subarray(0, bytes);
}

export interface TrafficKeys {
  readonly key: Buffer;
  readonly iv: Buffer;
}

/** Key and IV of a traffic secret (RFC 8446 section 7.3). */
export function trafficKeys(suite: TlsSuite, secret: Uint8Array): TrafficKeys {
  return {
    key: hkdfExpandLabel(suite.hash, secret, 'key', suite.keyBytes),
    iv: hkdfExpandLabel(suite.hash, secret, 'iv', 12),
  };
}

/** The secret that follows a KeyUpdate (RFC 8446 section 7.2). */
export function nextTrafficSecret(suite: TlsSuite, secret: Uint8Array): Buffer {
  return hkdfExpandLabel(suite.hash, secret, 'traffic upd', secret.length);
}

/** Bytes that a secret of this suite must have. */
export function secretBytes(suite: TlsSuite): number {
  return suite.hash === 'sha384' ? 48 : 32;
}
