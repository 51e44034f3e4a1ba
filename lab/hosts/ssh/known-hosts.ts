import { createHash, createHmac } from 'node:crypto';
import type { Position } from './errors.ts';
import { matchesPatterns } from './patterns.ts';

/** One line of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export interface KnownHost {
  readonly at: Position;
  readonly marker: 'none' | 'cert-authority' | 'revoked';
  readonly names: HostNames;
  /** `ssh-ed25519` and the like. */
  readonly keyType: string;
  /** The key as it comes over the wire (RFC 4253 §6.6). */
  readonly key: Buffer;
}

/** Patterns as they stand, or one name as its HMAC-SHA1 under a salt. */
export type HostNames =
  | { readonly kind: 'patterns'; readonly patterns: readonly string[] }
  | { readonly kind: 'hashed'; readonly salt: Buffer; readonly hash: Buffer };

/** A line that says nothing usable, and why; OpenSSH passes such lines over. */
export interface KnownHostsFault {
  readonly at: Position;
  readonly text: string;
}

export interface KnownHosts {
  readonly entries: readonly KnownHost[];
  readonly faults: readonly KnownHostsFault[];
}

/** What is known of a key that a host shows. */
export type KeyVerdict =
  | { readonly kind: 'known'; readonly by: KnownHost }
  /** Another key of the same type is known. */
  | { readonly kind: 'changed'; readonly was: readonly KnownHost[] }
  | { readonly kind: 'revoked'; readonly by: KnownHost }
  /** `otherTypes`: what is known of that host, of types that it has not shown. */
  | { readonly kind: 'unknown'; readonly otherTypes: readonly KnownHost[] };

const SHA1_BYTES = 20;

/** Reads a whole file. Lines that are none are faults with their place; nothing is thrown. */
export function parseKnownHosts(text: string, file: string): KnownHosts {
  const entries: KnownHost[] = [];
  const faults: KnownHostsFault[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const parsed = parseLine(line, file, index + 1);
    if (parsed === undefined) continue;
    if ('key' in parsed) entries.push(parsed);
    else faults.push(parsed);
  }
  return { entries, faults };
}

/** The name that a host has in these files: `[host]:port` unless the port is 22, in small letters. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** The lines that speak of a host, certificate authorities left out (ssh2 knows no certificates). */
export function linesOf(known: KnownHosts, name: string): readonly KnownHost[] {
  return known.entries.filter(
    ({ marker, names }) => marker !== 'cert-authority' && isNamed(names, name),
  );
}

/** Judges the key that a host has shown as OpenSSH does with StrictHostKeyChecking. */
export function judgeKey(known: KnownHosts, name: string, key: Buffer): KeyVerdict {
  const lines = linesOf(known, name);
  const same = lines.filter((line) => line.key.equals(key));
  const revoked = same.find(({ marker }) => marker === 'revoked');
  if (revoked) return { kind: 'revoked', by: revoked };
  const [by] = same;
  if (by) return { kind: 'known', by };
  const trusted = lines.filter(({ marker }) => marker === 'none');
  const was = trusted.filter(({ keyType }) => keyType === keyTypeOf(key));
  return was.length > 0 ? { kind: 'changed', was } : { kind: 'unknown', otherTypes: trusted };
}

/** The type that stands first in a key; empty when these bytes are no key. */
export function keyTypeOf(key: Buffer): string {
  if (key.length < 4) return '';
  const length = key.readUInt32BE(0);
  return key.length < 4 + length ? '' : key.toString('latin1', 4, 4 + length);
}

/** As OpenSSH shows it: SHA-256 in base64 without padding. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replaceAll('=', '')}`;
}

interface Word {
  readonly text: string;
  readonly column: number;
}

function parseLine(
  line: string,
  file: string,
  number: number,
): KnownHost | KnownHostsFault | undefined {
  const words = wordsOf(line);
  if (words.length === 0 || words[0]?.text.startsWith('#')) return undefined;
  const place = (column: number): Position => ({ file, line: number, column });
  const fault = (text: string, word?: Word): KnownHostsFault => {
    return { at: place(word?.column ?? line.length + 1), text };
  };
  const marked = words[0]?.text.startsWith('@') ? words.shift() : undefined;
  const marker = markerOf(marked?.text);
  if (marker === undefined) {
    return fault(`"${marked?.text}" is no marker, @cert-authority or @revoked was wished`, marked);
  }
  const [hosts, type, base64] = words;
  if (!hosts || !type || !base64) return fault('the line ends early, "hosts type key" was wished');
  const names = namesOf(hosts.text);
  if (names === undefined) return fault('no salt and hash in "|1|salt|hash"', hosts);
  const key = Buffer.from(base64.text, 'base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64.text)) return fault('the key is no base64', base64);
  if (keyTypeOf(key) !== type.text) {
    return fault(`the key says "${printable(keyTypeOf(key))}", the line "${type.text}"`, base64);
  }
  return { at: place(hosts.column), marker, names, keyType: type.text, key };
}

function wordsOf(line: string): Word[] {
  return [...line.matchAll(/[^\s]+/g)].map(({ 0: text, index }) => ({ text, column: index + 1 }));
}

function markerOf(word: string | undefined): KnownHost['marker'] | undefined {
  if (word === undefined) return 'none';
  if (word === '@cert-authority') return 'cert-authority';
  return word === '@revoked' ? 'revoked' : undefined;
}

function namesOf(hosts: string): HostNames | undefined {
  if (!hosts.startsWith('|')) {
    return { kind: 'patterns', patterns: hosts.toLowerCase().split(',').filter(Boolean) };
  }
  const [, version, salt = '', hash = ''] = hosts.split('|');
  const [saltBytes, hashBytes] = [Buffer.from(salt, 'base64'), Buffer.from(hash, 'base64')];
  if (version !== '1' || saltBytes.length === 0 || hashBytes.length !== SHA1_BYTES)
    return undefined;
  return { kind: 'hashed', salt: saltBytes, hash: hashBytes };
}

function isNamed(names: HostNames, name: string): boolean {
  if (names.kind === 'patterns') return matchesPatterns(name, names.patterns);
  return createHmac('sha1', names.salt).update(name).digest().equals(names.hash);
}

/** A key of garbage may hold anything, escape sequences too. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 40);
}
