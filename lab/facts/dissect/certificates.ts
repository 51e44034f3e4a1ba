import { X509Certificate } from 'node:crypto';
import { WireError } from '../../../dataplane/wire/errors.ts';
import type { CertificateFacts } from './types.ts';

/** A function that reads certificates and remembers them: hundreds of sessions show the same few. */
export function certificateReader(): (der: Buffer) => CertificateFacts {
  const known = new Map<string, CertificateFacts>();
  return (der) => {
    const key = der.toString('latin1');
    const certificate = known.get(key) ?? describeCertificate(der);
    if (known.size < MAX_REMEMBERED) known.set(key, certificate);
    return certificate;
  };
}

const MAX_REMEMBERED = 1000;

/** What a certificate says; the DER is copied, so that it does not keep the capture alive. */
function describeCertificate(der: Buffer): CertificateFacts {
  const certificate = parse(der);
  const names = certificate.subjectAltName ?? '';
  return {
    der: Buffer.from(der),
    subject: certificate.subject ?? '',
    issuer: certificate.issuer ?? '',
    serialNumber: certificate.serialNumber,
    spiffeIds: [...names.matchAll(/(?:^|, )URI:(spiffe:\/\/[^,]+)/g)].map(([, id]) => id!),
    validFrom: certificate.validFrom,
    validTo: certificate.validTo,
  };
}

function parse(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw new WireError('tls', `Cannot read certificate: ${(error as Error).message}`, 0);
  }
}
