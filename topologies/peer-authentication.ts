import type { ObjectMeta } from './objects.ts';

/** `security.istio.io/v1` PeerAuthentication, as written; YAML's `null` stands for an absent field. */
export interface PeerAuthentication {
  readonly apiVersion: 'security.istio.io/v1' | 'security.istio.io/v1beta1';
  readonly kind: 'PeerAuthentication';
  readonly metadata: ObjectMeta;
  readonly spec?: PeerAuthenticationSpec | null;
}

export interface PeerAuthenticationSpec {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> | null } | null;
  readonly mtls?: MutualTls | null;
  /** Ports of the pod, not of a service. */
  readonly portLevelMtls?: Readonly<Record<string, MutualTls>> | null;
}

export interface MutualTls {
  readonly mode?: 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';
}
