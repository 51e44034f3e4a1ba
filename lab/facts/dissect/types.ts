import type { FrameTable } from './frame-table.ts';
import type { TlsRecords } from './tls-records.ts';
import type { StreamSegments } from './segments.ts';

/**
 * What the packets of one capture say, before anybody interprets it. Frame numbers are those of the
 * interface's own pcapng file, from 1, as Wireshark shows them. Times are Unix nanoseconds.
 */
export interface DissectedCapture {
  readonly interfaces: readonly DissectedInterface[];
  /** Each TCP conversation once, however many interfaces it was seen on; in order of first frame. */
  readonly conversations: readonly Conversation[];
}

export interface DissectedInterface {
  /** `<netns>/<ifname>`, as the file's interface block says. */
  readonly name: string;
  readonly netns: string;
  readonly ifname: string;
  /** All frames, in columns; `frames.at(number)` gives one as an object. */
  readonly frames: FrameTable;
  readonly connections: readonly Connection[];
  readonly dns: readonly DnsExchange[];
  /** Other UDP, by 4-tuple. */
  readonly udpFlows: readonly UdpFlow[];
  readonly icmp: readonly IcmpSighting[];
  readonly faults: readonly DissectFault[];
}

/** One frame, layers outermost first. */
export interface Frame {
  readonly number: number;
  readonly timeNs: bigint;
  readonly capturedBytes: number;
  readonly originalBytes: number;
  /** Socket mark of the skb, where the recorder could tell. */
  readonly mark?: number;
  readonly direction?: 'in' | 'out';
  readonly layers: readonly Layer[];
  /** Index in `connections` of the interface, for TCP. */
  readonly connection?: number;
}

export type Layer =
  | {
      readonly kind: 'ethernet';
      readonly source: string;
      readonly destination: string;
      readonly etherType: number;
      readonly vlans: readonly number[];
    }
  | {
      readonly kind: 'arp';
      readonly operation: number;
      readonly sender: string;
      readonly senderMac: string;
      readonly target: string;
      readonly targetMac: string;
    }
  | {
      readonly kind: 'ipv4' | 'ipv6';
      readonly source: string;
      readonly destination: string;
      /** TTL or hop limit. */
      readonly ttl: number;
      readonly protocol: number;
      readonly isFragment: boolean;
    }
  | {
      readonly kind: 'tcp';
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly sequence: number;
      readonly acknowledgement: number;
      /** Bits of RFC 9293: FIN 1, SYN 2, RST 4, PSH 8, ACK 0x10. */
      readonly flags: number;
      readonly window: number;
      /** By the IP header, whatever was captured of it. */
      readonly payloadBytes: number;
    }
  | {
      readonly kind: 'udp';
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly payloadBytes: number;
    }
  | {
      readonly kind: 'icmp' | 'icmpv6';
      readonly type: number;
      readonly code: number;
      readonly identifier: number;
      readonly sequence: number;
    }
  | {
      readonly kind: 'geneve';
      readonly vni: number;
      readonly protocol: number;
      readonly optionBytes: number;
    }
  | { readonly kind: 'vxlan'; readonly vni: number }
  | { readonly kind: 'malformed'; readonly message: string };

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Of a conversation: `client` is what the client sends. */
export type Side = 'client' | 'server';

/** One TCP connection as one interface saw it. Same tuple with other initial numbers is another. */
export interface Connection {
  /** Index in `connections` of its interface. */
  readonly index: number;
  /** Name of its interface. */
  readonly interface: string;
  /** Index in `conversations`. */
  readonly conversation: number;
  /** Who sent the SYN; where no SYN was seen, who has the higher port. */
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** Where answers came from, if not from `server`: REDIRECT on loopback shows it. */
  readonly repliesFrom?: Endpoint;
  /** Where answers went, if not to `client`: NAT had to change the client's port. */
  readonly repliesTo?: Endpoint;
  readonly hasHandshake: boolean;
  readonly firstFrame: number;
  readonly lastFrame: number;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  /** How the packets were wrapped, outermost first; empty for bare ones. */
  readonly encapsulation: readonly Encapsulation[];
  readonly fromClient: ConnectionHalf;
  readonly fromServer: ConnectionHalf;
}

export interface Encapsulation {
  readonly kind: 'geneve' | 'vxlan';
  readonly vni: number;
  /** EtherType of what is inside. */
  readonly protocol: number;
  /** Bytes of Geneve options. */
  readonly optionBytes: number;
  /** Of the outer headers, as are the ports. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** One direction of a connection on one interface. */
export interface ConnectionHalf {
  readonly frames: number;
  /** Initial sequence number, where the SYN was seen. */
  readonly initialSequence?: number;
  /** Frame numbers; more than one where it was sent again. */
  readonly synFrames: readonly number[];
  readonly finFrames: readonly number[];
  readonly rstFrames: readonly number[];
  /** Distinct bytes of the stream by sequence numbers, captured or not. */
  readonly streamBytes: number;
  /** Payload bytes seen more than once. */
  readonly retransmittedBytes: number;
  /** Frames whose payload came after later bytes of the stream. */
  readonly outOfOrderFrames: readonly number[];
  /** Ranges of the stream that no frame holds, because of loss or snap length. */
  readonly gaps: readonly StreamRange[];
  /** Bytes seen twice with different content; the first are taken. */
  readonly conflictingFrames: readonly number[];
  /** Distinct socket marks, in order of appearance; frames without mark count for nothing. */
  readonly marks: readonly number[];
  readonly ttls: readonly number[];
  readonly segments: StreamSegments;
}

/** `[start, end)` in bytes of a TCP stream, the first payload byte being 0. */
export interface StreamRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What one TCP conversation said. Positions are ranges of its TCP stream (`side` says whose), true on
 * each interface: `framesOf(connection, side, range)` gives the frames there.
 */
export interface Conversation {
  readonly index: number;
  /** As the best sighting has them. */
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** Each sighting; addresses differ where NAT lay between. */
  readonly sightings: readonly Connection[];
  /** The sighting with the fewest gaps: it was read. */
  readonly best: Connection;
  readonly proxyProtocol?: { readonly source: Endpoint; readonly destination: Endpoint };
  readonly tls?: TlsSession;
  /** Absent where nothing could be read or it is no HTTP/2. */
  readonly http2?: Http2Connection;
  readonly http1?: readonly Http1Message[];
  readonly faults: readonly DissectFault[];
}

export interface TlsSession {
  readonly clientRandom?: string;
  readonly serverName?: string;
  /** Offered by the client, and chosen (known only with the handshake secrets). */
  readonly alpnOffered: readonly string[];
  readonly alpn?: string;
  readonly version?: 'TLS 1.2' | 'TLS 1.3';
  /** IANA name, such as `TLS_AES_128_GCM_SHA256`. */
  readonly cipherSuite?: string;
  /** Ticket of the session before, where it was resumed: no certificate is shown then. */
  readonly resumedTicket?: string;
  readonly client: TlsHalf;
  readonly server: TlsHalf;
  /** Did the server ask the client for a certificate. */
  readonly isClientCertificateRequested: boolean;
}

export interface TlsHalf {
  /** `missing` and `wrong` name the first label of the key log that was; see {@link SecretState}. */
  readonly secrets: SecretState;
  readonly records: TlsRecords;
  /** Leaf first, as sent. */
  readonly certificates: readonly PeerCertificate[];
  readonly alerts: readonly TlsAlert[];
  /** Given out by a server for resuming this session, lower case hexadecimal. */
  readonly tickets: readonly string[];
  readonly keyUpdates: number;
  /** Bytes of application data that were decrypted. */
  readonly plaintextBytes: number;
}

/**
 * `wrong`: a record did not authenticate under it (its frame is in the faults); `unread`: a gap
 * came before; `none-needed`: nothing was encrypted.
 */
export type SecretState =
  | { readonly kind: 'decrypted' }
  | { readonly kind: 'none-needed' }
  | { readonly kind: 'missing'; readonly label: string }
  | { readonly kind: 'wrong'; readonly label: string; readonly at: StreamRange }
  | { readonly kind: 'unread'; readonly at: StreamRange }
  | { readonly kind: 'unsupported'; readonly what: string };

/** A record, and the bytes of the TCP stream that it takes with its header. */
export interface TlsRecord extends StreamRange {
  /** On the wire: 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data. */
  readonly outerType: number;
  /** Decrypted, or the same as on the wire where it was in the clear. */
  readonly type?: number;
}

export interface TlsAlert extends StreamRange {
  readonly level: number;
  readonly description: number;
  readonly name: string;
}

export interface CertificateFacts {
  readonly der: Buffer;
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  /** `spiffe://…` of the subject alternative names. */
  readonly spiffeIds: readonly string[];
  readonly validFrom: string;
  readonly validTo: string;
}

/** A certificate of a session, and the records of the TCP stream that its message came in. */
export interface PeerCertificate extends CertificateFacts {
  readonly at: StreamRange;
}

export interface Http2Connection {
  /** All frames, each side's in order. */
  readonly client: readonly Http2Frame[];
  readonly server: readonly Http2Frame[];
  readonly streams: readonly Http2Stream[];
}

/** A frame, and the bytes of the TCP stream that it came in: whole records where TLS is there. */
export interface Http2Frame extends StreamRange {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly length: number;
  /** Where its header starts in what the side sent (decrypted where TLS is there). */
  readonly offset: number;
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

export interface Http2Stream {
  readonly id: number;
  /** First header list of each side; trailers are in the frames. */
  readonly request?: Http2Frame;
  /** Final response, no 1xx. */
  readonly response?: Http2Frame;
  readonly method?: string;
  readonly authority?: string;
  readonly status?: number;
  readonly client: Http2StreamHalf;
  readonly server: Http2StreamHalf;
}

export interface Http2StreamHalf {
  readonly dataBytes: number;
  readonly data: readonly Http2Frame[];
  readonly isEnded: boolean;
  /** Error code of RST_STREAM. */
  readonly resetCode?: number;
}

/** First line of a request or response, with its headers and their bytes of the TCP stream. */
export interface Http1Message extends StreamRange {
  readonly side: Side;
  readonly line: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly method?: string;
  readonly target?: string;
  readonly status?: number;
}

export interface DnsExchange {
  readonly transport: 'udp' | 'tcp';
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly queryFrame?: number;
  readonly responseFrame?: number;
  readonly rcode?: number;
  readonly addresses: readonly string[];
}

export interface UdpFlow {
  readonly a: Endpoint;
  readonly b: Endpoint;
  readonly frames: readonly number[];
  readonly marks: readonly number[];
}

export interface IcmpSighting {
  readonly frame: number;
  readonly source: string;
  readonly destination: string;
  readonly type: number;
  readonly code: number;
}

/** Bytes that could not be read as what they should have been. */
export interface DissectFault {
  readonly layer: 'frame' | 'tcp' | 'tls' | 'http2' | 'http1' | 'dns' | 'proxy-protocol';
  readonly message: string;
  /** Frame number on the interface, or of the best sighting. */
  readonly frame: number;
}
