import type { Spiffe } from './spiffe.ts';

/**
 * What TLS presents and trusts, as PEM. The object itself is the key of TLS contexts: one object per
 * certificate, never changed.
 */
export interface Credentials {
  /** PKCS#8. */
  readonly key: string;
  /** Leaf, then intermediates; no root. */
  readonly certificateChain: string;
  readonly roots: string;
}

/** A certificate for one workload identity. */
export interface WorkloadCertificate {
  readonly identity: Spiffe;
  readonly credentials: Credentials;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Where certificates come from: a file CA now, the mesh's CA service later. A new key for each
 * request; the leaf's only name is the identity.
 */
export interface CaClient {
  fetchCertificate(identity: Spiffe, signal?: AbortSignal): Promise<WorkloadCertificate>;
}
