import { randomBytes } from 'node:crypto';

/** Header that carries the canary of a request, beside its query parameter `canary`. */
export const CANARY_HEADER = 'x-ambient-canary';

/** The canary as it stands in any payload; the only text that is looked for on the wire. */
export const CANARY_PATTERN = /canary-[0-9a-f]{32}/;

/** A text that occurs in no other request, and in no header or certificate by chance. */
export function createCanary(): string {
  return `canary-${randomBytes(16).toString('hex')}`;
}

/** The first canary in some bytes of a payload. */
export function findCanary(payload: Buffer | string): string | undefined {
  const text = typeof payload === 'string' ? payload : payload.toString('latin1');
  return CANARY_PATTERN.exec(text)?.[0];
}
