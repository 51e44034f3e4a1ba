/**
 * One line of ztunnel's leg log (ours, newline-delimited JSON, path in `LEG_LOG`): which connection
 * on one side belongs to which on the other. It is the first evidence for stitching a request
 * through the proxy; REDIRECT, spoofed sources and stream multiplexing hide it from the packets.
 * Addresses are `ip:port`, IPv6 in brackets. Times are Unix nanoseconds as decimal strings.
 */
export interface LegRecord {
  readonly node: string;
  /** Workload it is about: `namespace/name`. */
  readonly pod: string;
  /** Whose netns the sockets live in: the workload's when absent, else that of the node's ztunnel. */
  readonly sockets?: 'ztunnel';
  /** Envoy of a sidecar wrote it; a ztunnel when absent. What arrived at 15006 is `inbound-passthrough`. */
  readonly proxy?: 'envoy';
  readonly direction: 'outbound' | 'inbound' | 'inbound-passthrough';
  /** Unique per process: `<node>-<n>`. */
  readonly id: string;
  readonly openedNs: string;
  /** When the record was written, of a connection that is open. */
  readonly closedNs: string;
  /** The connection goes on; a record with the same id may follow. */
  readonly isOpen?: boolean;
  /** Accepted connection: peer and what the socket calls its own end. */
  readonly accepted: { readonly peer: string; readonly local: string };
  /** Where the app wanted to go (outbound), or what inbound was asked for (`:authority`, original destination). */
  readonly originalDestination: string;
  /** HBONE connection and stream, when there is one. For inbound it is the accepted connection. */
  readonly tunnel?: { readonly local: string; readonly remote: string; readonly stream: number };
  /** Authority of a stream that Envoy opened; in which tunnel, the packets have to say. */
  readonly tunnelledTo?: string;
  /** Whom the CONNECT was for, where Envoy accepted the tunnel: it knows no number of the stream. */
  readonly forwardedFor?: string;
  /** Connection made to reach the app or the passthrough destination. */
  readonly upstream?: { readonly local: string; readonly remote: string };
  readonly traceparent?: string;
  /** Absent while it is open. */
  readonly bytesSent?: number;
  readonly bytesReceived?: number;
  readonly error?: string;
}
