import type { X509Certificate } from 'node:crypto';
import { formatSpiffe, parseSpiffe, type Spiffe } from './spiffe.ts';

/** The peer's certificate chain is good but its names are not those wanted. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code = 'DATAPLANE_IDENTITY';
  readonly wanted: readonly string[];
  readonly presented: readonly Spiffe[];
  constructor(message: string, wanted: readonly string[], presented: readonly Spiffe[]) {
    super(message);
    this.wanted = wanted;
    this.presented = presented;
  }
}

/** SPIFFE ids among the URI SANs of a certificate, in order; other names are passed over. */
export function spiffeIds(certificate: X509Certificate): Spiffe[] {
  return uriNames(certificate.subjectAltName ?? '').flatMap((uri) => parseSpiffe(uri) ?? []);
}

/** URIs out of Node's text of a SAN extension; names with odd characters are quoted as JSON there. */
function uriNames(subjectAltName: string): string[] {
  const names = subjectAltName.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g);
  const uris: string[] = [];
  for (const [, type, value = ''] of names) {
    if (type === 'URI') uris.push(value.startsWith('"') ? String(JSON.parse(value)) : value);
  }
  return uris;
}

/**
 * Identity of a client whose chain verified: its first SPIFFE id, provided that one of them is of the
 * server's trust domain; nothing else about the name is asked (ztunnel `src/tls/workload.rs`).
 * @throws IdentityError
 */
export function verifyClientNames(leaf: X509Certificate, trustDomain: string): Spiffe {
  const ids = spiffeIds(leaf);
  const [first] = ids;
  if (first && ids.some((id) => id.trustDomain === trustDomain)) return first;
  const text = `peer did not present the expected trustdomain (${trustDomain}), got ${listOf(ids)}`;
  throw new IdentityError(`identity verification error: ${text}`, [trustDomain], ids);
}

/**
 * Identity of a server whose chain verified: the first of its SPIFFE ids that is wanted. An empty
 * list of wanted ones always fails.
 * @throws IdentityError
 */
export function verifyServerNames(leaf: X509Certificate, wanted: readonly string[]): Spiffe {
  const ids = spiffeIds(leaf);
  const match = ids.find((id) => wanted.includes(formatSpiffe(id)));
  if (match) return match;
  const text = `peer did not present the expected SAN (${wanted.join(', ')}), got ${listOf(ids)}`;
  throw new IdentityError(`identity verification error: ${text}`, wanted, ids);
}

function listOf(ids: readonly Spiffe[]): string {
  return ids.map(formatSpiffe).join(', ');
}
