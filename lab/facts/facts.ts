import type { Era } from '../../dataplane/redirect/era.ts';
import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import type { RequestResult } from './request.ts';

/** Version of the JSON in `facts.json`; a change that breaks readers changes the number. */
export const FACTS_SCHEMA = 'ambient-lab/facts/1';

/**
 * What the packets of a run say, as pure data: the only input of the judge. Addresses are
 * `ip:port` (IPv6 in brackets), times Unix nanoseconds as decimal strings, frame numbers count from
 * 1 within their file, as Wireshark shows them.
 */
export interface RunFacts {
  readonly schema: typeof FACTS_SCHEMA;
  readonly lab: string;
  readonly topologyFile: string;
  readonly era: Era;
  /** How the Geneve tunnels were made; in era geneve, where the recording tells. */
  readonly tunnels?: TunnelKind;
  readonly startedNs: string;
  readonly stoppedNs: string;
  readonly hasMarks: boolean;
  readonly snapLength: number;
  readonly interfaces: readonly InterfaceFacts[];
  /** Who has which addresses: what names in expectations mean. */
  readonly places: readonly Place[];
  /** Every TCP connection and UDP conversation, each once however many interfaces saw it. */
  readonly connections: readonly Connection[];
  /** One per request, in the order they were given. */
  readonly paths: readonly Path[];
  readonly problems: readonly Problem[];
}

export interface Place {
  /** `sleep`, `node1`, `outside`, `httpbin.demo` for a service. */
  readonly name: string;
  readonly kind: 'pod' | 'node' | 'outside' | 'service';
  readonly namespace?: string;
  /** Of a pod: what the controller that made it is called; users name it by this too. */
  readonly workload?: string;
  /** Empty for a service. */
  readonly netns: string;
  readonly node?: string;
  /** Without prefix length, the main one first. */
  readonly addresses: readonly string[];
  /** SPIFFE URI that its certificate should carry; of pods. */
  readonly identity?: string;
}

export interface InterfaceFacts {
  readonly netns: string;
  readonly name: string;
  readonly role: 'fabric' | 'node' | 'pod' | 'ztunnel' | 'outside' | 'unknown';
  readonly node?: string;
  /** `netns/interface` at the other end of its link. */
  readonly peer?: string;
  /** The bridge of its node that it is, or is a port of. */
  readonly bridge?: string;
  /** Path of its capture below the run directory. */
  readonly file: string;
  readonly frames: number;
  readonly kernelDrops: number;
  /** Frames of which less was kept than was on the wire. */
  readonly clippedFrames: number;
}

/** Something that makes the evidence of the run incomplete; the judge turns it into *could not run*. */
export interface Problem {
  readonly kind:
    | 'no-recording'
    | 'empty-capture'
    | 'kernel-drops'
    | 'clipped-frames'
    | 'unreadable-file'
    | 'bad-record'
    | 'no-keys'
    | 'wrong-keys';
  readonly text: string;
  readonly file?: string;
  /** Connection concerned, where it is one. */
  readonly connection?: number;
}

export interface Connection {
  /** Counts from 0, in order of the first frame. */
  readonly id: number;
  readonly protocol: 'tcp' | 'udp';
  /** Tuple at its first sighting: as its client made it, unless REDIRECT already rewrote it. */
  readonly client: string;
  readonly server: string;
  /** In the order the client's first frame passed them. */
  readonly sightings: readonly Sighting[];
  /** Why sightings with different tuples are one connection; empty when no NAT was met. */
  readonly joins: readonly Join[];
  readonly startedNs: string;
  readonly endedNs: string;
  /** `open` was still in use when the capture ended, or has begun before it. */
  readonly end: 'closed' | 'refused' | 'reset' | 'unanswered' | 'open' | 'datagrams';
  /** Payload bytes from client to server and back, counted where the client is. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Forwarding steps of the client's frames: the TTL at the first sighting less that at the last. */
  readonly hops: number;
  /** Traversals of a namespace's netfilter hooks by the client's frames; see `passes.ts`. */
  readonly passes: number;
  readonly tls?: TlsFacts;
}

/** One connection on one interface. A NAT loop through one interface makes two sightings of it. */
export interface Sighting {
  readonly netns: string;
  readonly interface: string;
  readonly file: string;
  /** Which way the client's frames went, from the namespace's point of view; `loop` on loopback. */
  readonly direction: 'out' | 'in' | 'loop';
  /** Tuple of the client's frames here. */
  readonly client: string;
  readonly server: string;
  /** Source of the replies where it is not `server`: REDIRECT on loopback shows the original one. */
  readonly repliesFrom?: string;
  /** Destination of the replies where it is not `client`: NAT had to change the client's port. */
  readonly repliesTo?: string;
  readonly ttl: number;
  readonly replyTtl?: number;
  /** Marks seen on the client's frames and on the replies, ascending, without 0. */
  readonly marks: readonly number[];
  readonly replyMarks: readonly number[];
  /** The client's frames, and the replies, that were inside an overlay here; absent when none was. */
  readonly tunnel?: Tunnelled;
  readonly replyTunnel?: Tunnelled;
  readonly firstNs: string;
  readonly lastNs: string;
  readonly frames: number;
  readonly bytes: number;
  readonly firstFrame: number;
  readonly lastFrame: number;
  /** The first frames, at most 32 of them. */
  readonly frameNumbers: readonly number[];
}

/**
 * Frames of one direction that crossed an interface inside an overlay. In era geneve that is the
 * first SYN of a captured connection and nothing more; the rest passes bare, by its mark.
 */
export interface Tunnelled {
  /** How the first of them was wrapped, outermost first. */
  readonly layers: readonly TunnelLayer[];
  readonly frames: number;
  readonly bareFrames: number;
  /** Nothing but SYNs that open the connection. */
  readonly isOnlySyn: boolean;
  readonly firstFrame: number;
  /** Marks of the outer packets, and of the frames that passed bare; ascending, without 0. */
  readonly marks: readonly number[];
  readonly bareMarks: readonly number[];
}

export interface TunnelLayer {
  readonly kind: 'geneve' | 'vxlan';
  readonly vni: number;
  /** EtherType of what is inside. */
  readonly protocol: number;
  readonly optionBytes: number;
  /** `ip:port` of the outer headers. */
  readonly source: string;
  readonly destination: string;
}

/**
 * What decryption of a connection gave. `state` says how far it went, the rest what was read.
 * `cleartext`: HTTP/2 with CONNECT streams and no TLS around it.
 */
export interface TlsFacts {
  readonly state: 'decrypted' | 'no-keys' | 'wrong-keys' | 'incomplete' | 'cleartext';
  readonly version?: string;
  readonly cipher?: string;
  readonly alpn?: string;
  readonly sni?: string;
  /** First SPIFFE URI of each leaf certificate, from the decrypted handshake. */
  readonly clientIdentity?: string;
  readonly serverIdentity?: string;
  /** It showed no certificate: the identities are those of the session that it resumed. */
  readonly isResumed?: boolean;
  readonly protocol?: 'h2' | 'other';
  readonly streams: readonly ConnectStream[];
  readonly reason?: string;
}

export interface ConnectStream {
  readonly stream: number;
  readonly method?: string;
  readonly authority?: string;
  /** `for=` of the forwarded header. */
  readonly forwardedFor?: string;
  readonly traceparent?: string;
  readonly status?: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly startedNs: string;
  /** First byte of its request in what the client sent over TCP, the first payload byte being 0. */
  readonly position?: number;
  /** RST_STREAM error code, when one was sent. */
  readonly resetCode?: number;
}

/** One step of stitching, and what it stands on. Never a guess: without one of these nothing is joined. */
export interface Join {
  readonly evidence:
    | 'client-socket'
    | 'leg-record'
    | 'conntrack'
    | 'sequence-number'
    | 'forwarded-header'
    | 'canary'
    | 'payload';
  /** E.g. `leg 1 → leg 2: node1-4 accepted 10.244.1.10:40312, opened stream 1`. */
  readonly text: string;
}

/** What happened to one request, leg by leg. */
export interface Path {
  readonly request: RequestResult;
  /** Complete only when `missing` is empty. */
  readonly legs: readonly Leg[];
  readonly joins: readonly Join[];
  /** What could not be joined, or evidence that contradicts; each makes verdicts *could not run*. */
  readonly missing: readonly string[];
  /** Why a proxy ended the path before it reached an app, e.g. `http status: 401`. */
  readonly failure?: string;
  readonly hops: number;
  readonly passes: number;
  readonly durationUs: number;
  readonly canary: CanaryFacts;
}

export interface Leg {
  /** Counts from 1 in order. */
  readonly number: number;
  /** Index into `connections`. */
  readonly connection: number;
  readonly protocol: 'tcp' | 'udp';
  readonly from: LegEnd;
  readonly to: LegEnd;
  /** `mtls`: mutual TLS between two sidecars, with no tunnel inside. */
  readonly encapsulation: 'plain' | 'hbone' | 'mtls';
  readonly hbone?: HboneLeg;
  readonly mtls?: MtlsLeg;
  /** Where the client of this leg wanted to go, when a redirect or DNAT changed it. */
  readonly wanted?: string;
  readonly startedNs: string;
  /**
   * When the request passed each sighting of the connection, in their order: the first frame of the
   * connection, or the one that carried this stream's CONNECT. Absent where it was not captured.
   */
  readonly passages: readonly (Passage | undefined)[];
  /**
   * Whether the tunnel carried a stream, or the connection between sidecars a request, before this
   * one; absent where that cannot be told.
   */
  readonly reused?: boolean;
}

export interface Passage {
  readonly timeNs: string;
  readonly frame: number;
}

export interface LegEnd {
  /** Who holds the socket: a pod (`sleep`), `ztunnel`, `envoy`, a node, `outside`. */
  readonly name: string;
  /** `envoy` is that of the pod's sidecar. */
  readonly kind: 'app' | 'ztunnel' | 'envoy' | 'node' | 'outside';
  readonly netns: string;
  readonly node?: string;
  /** `ip:port` of the socket as this end knows it. */
  readonly address: string;
  /**
   * Port of the proxy's listener that accepted the leg: 15001, 15006 or 15008. Under TPROXY the
   * socket keeps the address that was dialled, so `address` does not tell it.
   */
  readonly listener?: number;
}

/** What the handshake of a leg's TLS says. */
export interface MtlsLeg {
  readonly clientIdentity?: string;
  readonly serverIdentity?: string;
  readonly version?: string;
  readonly cipher?: string;
  readonly alpn?: string;
  readonly sni?: string;
}

/** The same of a tunnel, and the stream in it. */
export interface HboneLeg extends MtlsLeg {
  readonly stream: ConnectStream;
}

/** Where the request's canary could be read. */
export interface CanaryFacts {
  readonly canary: string;
  /** Interfaces on which it stands in clear, with the frames. */
  readonly clear: readonly CanaryHit[];
  /** Connections in whose decrypted bytes it was found, and in which stream of a tunnel. */
  readonly decrypted: readonly { readonly connection: number; readonly stream?: number }[];
}

export interface CanaryHit {
  readonly netns: string;
  readonly interface: string;
  readonly file: string;
  readonly frames: readonly number[];
}
