/** The parts of `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`. */
export interface Spiffe {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** A SPIFFE id as the mesh writes it (ztunnel `src/identity/manager.rs`). */
export function formatSpiffe(id: Spiffe): string {
  return `spiffe://${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}

/** Reads a SPIFFE id of exactly that form; undefined for anything else. */
export function parseSpiffe(uri: string): Spiffe | undefined {
  if (!uri.startsWith('spiffe://')) return undefined;
  const pieces = uri.slice('spiffe://'.length).split('/');
  const [trustDomain, ns, namespace, sa, serviceAccount] = pieces;
  if (pieces.length !== 5 || ns !== 'ns' || sa !== 'sa') return undefined;
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) {
    return undefined;
  }
  return { trustDomain, namespace, serviceAccount };
}
