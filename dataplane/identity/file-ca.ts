import {
  createPrivateKey,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CaClient, WorkloadCertificate } from './ca-client.ts';
import { issueLeaf, issueRoot, readSigner, type Signer, toPem } from './certificate.ts';
import { formatSpiffe, type Spiffe } from './spiffe.ts';

/** PEM files of a CA: its certificate (with its chain up to the root, if it is no root) and key. */
export interface CaFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface FileCaOptions extends CaFiles {
  /** Lifetime of the certificates; default 24 h. */
  readonly ttlMs?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** The CA's files cannot be used. */
export class CaFileError extends Error {
  override readonly name = 'CaFileError';
  readonly code = 'DATAPLANE_CA_FILE';
  readonly file: string;
  constructor(file: string, fault: string, cause?: unknown) {
    super(`Cannot use "${file}" as a CA: ${fault}`, cause === undefined ? undefined : { cause });
    this.file = file;
  }
}

const DAY_MS = 86_400_000;
const ROOT_LIFETIME_MS = 3650 * DAY_MS;

/**
 * A CA out of two PEM files, EC or RSA. The first certificate signs; self-signed ones become trust
 * roots, the others are presented behind each leaf.
 * @throws CaFileError when a file is missing, no PEM, no CA or of another key
 */
export function loadFileCa(options: FileCaOptions): CaClient {
  const key = readFile(options.keyFile, (text) => createPrivateKey(text));
  const certificates = readFile(options.certFile, readCertificates);
  const [own] = certificates;
  if (!own) throw new CaFileError(options.certFile, 'it holds no certificate');
  if (!own.ca) throw new CaFileError(options.certFile, 'its first certificate is no CA');
  if (!own.checkPrivateKey(key)) {
    throw new CaFileError(options.keyFile, `it is not the key of "${options.certFile}"`);
  }
  const roots = certificates.filter(isSelfSigned);
  if (roots.length === 0) {
    throw new CaFileError(options.certFile, 'it holds no self-signed root to trust');
  }
  const signer: Signer = { key, ...readSigner(own.raw) };
  return {
    fetchCertificate: (identity) =>
      signFor(identity, signer, {
        intermediates: pemOf(certificates.filter((certificate) => !isSelfSigned(certificate))),
        roots: pemOf(roots),
        ttlMs: options.ttlMs ?? DAY_MS,
        now: options.now ?? Date.now,
      }),
  };
}

interface Issuing {
  readonly intermediates: string;
  readonly roots: string;
  readonly ttlMs: number;
  readonly now: () => number;
}

const generateKeys = promisify(generateKeyPair);

async function signFor(
  identity: Spiffe,
  signer: Signer,
  issuing: Issuing,
): Promise<WorkloadCertificate> {
  const { privateKey, publicKey } = await generateKeys('ec', { namedCurve: 'P-256' });
  const notBefore = new Date(Math.floor(issuing.now() / 1000) * 1000);
  const notAfter = new Date(notBefore.getTime() + issuing.ttlMs);
  const leaf = issueLeaf(signer, { uri: formatSpiffe(identity), publicKey, notBefore, notAfter });
  return {
    identity,
    credentials: {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificateChain: toPem(leaf) + issuing.intermediates,
      roots: issuing.roots,
    },
    notBefore,
    notAfter,
  };
}

function readFile<T>(file: string, parse: (text: string) => T): T {
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new CaFileError(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** All certificates of a PEM text in its order. */
export function readCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

function pemOf(certificates: readonly X509Certificate[]): string {
  return certificates.map(({ raw }) => toPem(raw)).join('');
}

/**
 * Makes sure that `dir` holds a root CA of ours (EC P-256, ten years, `O=<trust domain>`):
 * `ca-cert.pem` and `ca-key.pem` (mode 0600). Existing files are kept.
 */
export function createFileCa(options: {
  readonly dir: string;
  readonly trustDomain?: string;
}): CaFiles {
  const certFile = join(options.dir, 'ca-cert.pem');
  const keyFile = join(options.dir, 'ca-key.pem');
  if (existsSync(certFile) && existsSync(keyFile)) return { certFile, keyFile };
  mkdirSync(options.dir, { recursive: true });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const validity = {
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + ROOT_LIFETIME_MS),
  };
  const root = issueRoot(privateKey, publicKey, options.trustDomain ?? 'cluster.local', validity);
  writeWhole(keyFile, privateKeyPem(privateKey));
  writeWhole(certFile, toPem(root));
  return { certFile, keyFile };
}

function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
