import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { bitString, der, oid, positiveInteger, readElements, sequence, TAG, time } from './der.ts';

/** Signs certificates: the key, and what the signer's own certificate calls itself. */
export interface Signer {
  readonly key: KeyObject;
  /** Subject as DER, the issuer of what it signs. */
  readonly subject: Buffer;
  /** Subject key identifier, when the signer's certificate has one. */
  readonly keyIdentifier?: Buffer;
}

export interface LeafOptions {
  /** The one name: a URI. */
  readonly uri: string;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A signing key of a kind that certificates are not signed with here. */
export class SigningKeyError extends Error {
  override readonly name = 'SigningKeyError';
  readonly code = 'DATAPLANE_CA_KEY_TYPE';
  readonly keyType: string;
  constructor(keyType: string) {
    super(`Cannot sign with a "${keyType}" key: EC (P-256, P-384, P-521) or RSA is wanted`);
    this.keyType = keyType;
  }
}

const OID = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  organization: '2.5.4.10',
} as const;

const TRUE = der(TAG.boolean, Buffer.from([0xff]));
const CONTEXT_0 = 0x80;
const GENERAL_NAME_URI = 0x86;
const EXTENSIONS = 0xa3;
const VERSION_3 = der(0xa0, der(TAG.integer, Buffer.from([2])));

/** DER of a workload certificate as istiod makes it: empty subject, SAN URI critical, no CA. */
export function issueLeaf(signer: Signer, options: LeafOptions): Buffer {
  const uri = der(GENERAL_NAME_URI, Buffer.from(options.uri, 'latin1'));
  const purposes = sequence(oid(OID.serverAuth), oid(OID.clientAuth));
  const extensions = [
    // digitalSignature and keyEncipherment; five unused bits.
    extension(OID.keyUsage, true, der(TAG.bitString, Buffer.from([5, 0xa0]))),
    extension(OID.extendedKeyUsage, false, purposes),
    extension(OID.basicConstraints, true, sequence()),
    ...authorityKey(signer.keyIdentifier),
    extension(OID.subjectAltName, true, sequence(uri)),
  ];
  return issue(signer, sequence(), options, extensions);
}

/** DER of a self-signed CA certificate for `key`, with `O=<organization>` as its name. */
export function issueRoot(
  key: KeyObject,
  publicKey: KeyObject,
  organization: string,
  validity: { readonly notBefore: Date; readonly notAfter: Date },
): Buffer {
  const name = sequence(oid(OID.organization), der(TAG.utf8String, Buffer.from(organization)));
  const subject = sequence(der(TAG.set, name));
  const identifier = keyIdentifierOf(publicKey);
  const extensions = [
    // keyCertSign and cRLSign; one unused bit.
    extension(OID.keyUsage, true, der(TAG.bitString, Buffer.from([1, 0x06]))),
    extension(OID.basicConstraints, true, sequence(TRUE)),
    extension(OID.subjectKeyIdentifier, false, der(TAG.octetString, identifier)),
  ];
  return issue({ key, subject }, subject, { publicKey, ...validity }, extensions);
}

/** Subject and key identifier of a certificate given as DER. @throws DerError */
export function readSigner(certificate: Buffer): Omit<Signer, 'key'> {
  const [outer] = readElements(certificate);
  const [body] = readElements(outer?.contents ?? Buffer.alloc(0));
  const fields = readElements(body?.contents ?? Buffer.alloc(0));
  const offset = fields[0]?.tag === 0xa0 ? 1 : 0;
  const subject = fields[offset + 4]?.all ?? sequence();
  const extensions = fields.find(({ tag }) => tag === EXTENSIONS);
  return { subject, keyIdentifier: extensions && findKeyIdentifier(extensions.contents) };
}

function findKeyIdentifier(extensions: Buffer): Buffer | undefined {
  const wanted = oid(OID.subjectKeyIdentifier);
  for (const entry of readElements(readElements(extensions)[0]?.contents ?? Buffer.alloc(0))) {
    const parts = readElements(entry.contents);
    const value = parts.at(-1);
    if (parts[0]?.all.equals(wanted) && value) return readElements(value.contents)[0]?.contents;
  }
  return undefined;
}

function issue(
  signer: Signer,
  subject: Buffer,
  options: Omit<LeafOptions, 'uri'>,
  extensions: readonly Buffer[],
): Buffer {
  const { algorithm, digest } = signatureOf(signer.key);
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const body = sequence(
    VERSION_3,
    positiveInteger(serial),
    algorithm,
    signer.subject,
    sequence(time(options.notBefore), time(options.notAfter)),
    subject,
    publicKeyInfo(options.publicKey),
    der(EXTENSIONS, sequence(...extensions)),
  );
  return sequence(body, algorithm, bitString(sign(digest, body, signer.key)));
}

/**
 * SubjectPublicKeyInfo of a key. That of P-256 (RFC 5480 §2), which all workloads have, is put together
 * from its coordinates: OpenSSL's encoder takes as long as making the key.
 */
function publicKeyInfo(publicKey: KeyObject): Buffer {
  if (publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    return publicKey.export({ type: 'spki', format: 'der' });
  }
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const point = [x, y].map((text) => Buffer.from(text, 'base64url'));
  const algorithm = sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'));
  return sequence(algorithm, bitString(Buffer.concat([Buffer.from([4]), ...point])));
}

/** RFC 5758 §3.2 and RFC 8017: the digest follows the curve, SHA-256 for RSA. */
function signatureOf(key: KeyObject): { algorithm: Buffer; digest: string } {
  if (key.asymmetricKeyType === 'rsa') {
    const nothing = der(0x05);
    return { algorithm: sequence(oid('1.2.840.113549.1.1.11'), nothing), digest: 'sha256' };
  }
  if (key.asymmetricKeyType !== 'ec') throw new SigningKeyError(key.asymmetricKeyType ?? 'secret');
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case 'secp384r1':
      return { algorithm: sequence(oid('1.2.840.10045.4.3.3')), digest: 'sha384' };
    case 'secp521r1':
      return { algorithm: sequence(oid('1.2.840.10045.4.3.4')), digest: 'sha512' };
    default:
      return { algorithm: sequence(oid('1.2.840.10045.4.3.2')), digest: 'sha256' };
  }
}

function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  const critical = isCritical ? [TRUE] : [];
  return sequence(oid(id), ...critical, der(TAG.octetString, value));
}

function authorityKey(identifier: Buffer | undefined): Buffer[] {
  if (!identifier) return [];
  return [extension(OID.authorityKeyIdentifier, false, sequence(der(CONTEXT_0, identifier)))];
}

/** RFC 5280 §4.2.1.2 method 1: SHA-1 of the public key's bits. */
function keyIdentifierOf(publicKey: KeyObject): Buffer {
  const spki = publicKeyInfo(publicKey);
  const bits = readElements(readElements(spki)[0]?.contents ?? Buffer.alloc(0))[1];
  return createHash('sha1')
    .update(bits?.contents.subarray(1) ?? spki)
    .digest();
}

/** PEM text of a certificate. */
export function toPem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
