import { createHash } from 'node:crypto';

/** Locally administered unicast MAC, the same for the same interface in every run. */
export function macOf(netns: string, link: string): string {
  const digest = sha256(`mac/${netns}/${link}`);
  return [0x02, ...digest.subarray(0, 5)].map((byte) => hex(byte)).join(':');
}

/** UUID in the form the API server gives, the same for the same object in every run. */
export function uidOf(namespace: string, name: string): string {
  const text = Buffer.from(sha256(`uid/${namespace}/${name}`).subarray(0, 16));
  text[6] = (text[6]! & 0x0f) | 0x50;
  text[8] = (text[8]! & 0x3f) | 0x80;
  return text.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

const LINK_NAME_LIMIT = 15;

/**
 * Interface names for `words`, one each, `prefix` in front: the word itself where it fits into the
 * kernel's 15 characters and is not wanted twice, else its beginning and a hash of its `key`.
 */
export function linkNames(
  prefix: string,
  words: readonly { readonly word: string; readonly key: string }[],
): string[] {
  const wanted = new Map<string, number>();
  for (const { word } of words) wanted.set(word, (wanted.get(word) ?? 0) + 1);
  return words.map(({ word, key }) => {
    const plain = `${prefix}${word}`;
    if (plain.length <= LINK_NAME_LIMIT && wanted.get(word) === 1) return plain;
    const hash = sha256(`link/${key}`).toString('hex').slice(0, 6);
    return `${plain.slice(0, LINK_NAME_LIMIT - 7)}-${hash}`;
  });
}

/** Name kube-proxy gives a chain (`pkg/proxy/iptables`, `portProtoHash`, 16 letters of base32). */
export function chainName(prefix: string, ...parts: readonly string[]): string {
  return `${prefix}${base32(sha256(parts.join(''))).slice(0, 16)}`;
}

function base32(bytes: Buffer): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((five) => letters[parseInt(five, 2)]).join('');
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
