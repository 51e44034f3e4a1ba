/** How traffic of a port is read: from the name of the service's port, `auto` by its first bytes. */
export type PortProtocol = 'http' | 'tcp' | 'auto';

/** Whether a workload takes plain text beside mutual TLS, nothing but that, or no mutual TLS. */
export type MtlsMode = 'PERMISSIVE' | 'STRICT' | 'DISABLE';

/** PeerAuthentication as it ends up at one workload. */
export interface MtlsModes {
  readonly mode: MtlsMode;
  /** Ports of the pod that have a mode of their own. */
  readonly ports: Readonly<Record<number, MtlsMode>>;
}

/** All that the Envoy of one sidecar is told; Istio's control plane would send it over xDS. */
export interface SidecarInput {
  readonly pod: SidecarPod;
  readonly credentials: SidecarCredentials;
  /** File with what `certificateSecret` makes of them: Envoy reads it again when one is moved there. */
  readonly secretFile?: string;
  readonly trustDomain: string;
  readonly mtls: MtlsModes;
  /** Interception mode TPROXY: the client's address is kept towards the app. */
  readonly isTproxy: boolean;
  readonly hbone: SidecarHbone;
  /** Whether the pod has addresses of IPv6. */
  readonly hasIpv6: boolean;
  /** Ports of the pod that services lead to. */
  readonly inboundPorts: readonly InboundPort[];
  readonly services: readonly OutboundService[];
  readonly files: SidecarFiles;
}

/** What of HBONE a sidecar does itself. */
export interface SidecarHbone {
  /** Takes it on 15008 (metadata ENABLE_HBONE). */
  readonly listens: boolean;
  /** Sends it to endpoints that take no mutual TLS of sidecars (PILOT_ENABLE_SENDING_HBONE). */
  readonly sends: boolean;
}

export interface SidecarPod {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  /** The main one first. */
  readonly addresses: readonly string[];
}

/** PEM texts. */
export interface SidecarCredentials {
  readonly key: string;
  readonly certificateChain: string;
  readonly roots: string;
}

/** Files that Envoy appends to; what is absent is not written. */
export interface SidecarFiles {
  /** Access log in Istio's format. */
  readonly accessLog?: string;
  /** One line a request or connection: which belongs to which on the two sides. */
  readonly legLog?: string;
  /** TLS secrets in the format of NSS. */
  readonly keyLog?: string;
}

export interface InboundPort {
  readonly port: number;
  readonly protocol: PortProtocol;
}

export interface OutboundService {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  /** None for a headless service. */
  readonly vips: readonly string[];
  readonly ports: readonly OutboundPort[];
}

export interface OutboundPort {
  readonly port: number;
  readonly protocol: PortProtocol;
  readonly endpoints: readonly OutboundEndpoint[];
}

export interface OutboundEndpoint {
  readonly address: string;
  readonly port: number;
  /** SPIFFE URI of its workload. */
  readonly identity: string;
  /** `istio` for one with a sidecar (`tlsMode`), `hbone` for one in ambient, `none` without a mesh. */
  readonly security: 'istio' | 'hbone' | 'none';
}
