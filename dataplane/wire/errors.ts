/** What was being read when bytes made no sense; part of {@link WireError}. */
export type WireProtocol =
  | 'ethernet'
  | 'arp'
  | 'ipv4'
  | 'ipv6'
  | 'tcp'
  | 'udp'
  | 'icmp'
  | 'vxlan'
  | 'geneve'
  | 'dns'
  | 'tls'
  | 'proxy-protocol';

/** Bytes of a protocol header that cannot be read or written as that protocol. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code = 'DATAPLANE_WIRE_MALFORMED';
  readonly protocol: WireProtocol;
  /** Byte offset in the buffer that was given. */
  readonly offset: number;

  constructor(protocol: WireProtocol, message: string, offset: number) {
    super(message);
    this.protocol = protocol;
    this.offset = offset;
  }
}

export type HpackFault =
  'integer' | 'string' | 'huffman' | 'index' | 'table-size' | 'header-list-size';

/** A header block that breaks RFC 7541 or a limit; a COMPRESSION_ERROR for the whole connection. */
export class HpackError extends Error {
  override readonly name = 'HpackError';
  readonly code = 'DATAPLANE_HPACK_MALFORMED';
  readonly fault: HpackFault;
  /** Byte offset in the header block. */
  readonly offset: number;

  constructor(fault: HpackFault, message: string, offset: number) {
    super(message);
    this.fault = fault;
    this.offset = offset;
  }
}

/** A frame that breaks RFC 9113. Stream 0 means that the connection must end. */
export class Http2Error extends Error {
  override readonly name = 'Http2Error';
  readonly code = 'DATAPLANE_HTTP2_PROTOCOL';
  /** Error code for GOAWAY or RST_STREAM (RFC 9113 section 7). */
  readonly http2Code: number;
  readonly streamId: number;

  constructor(http2Code: number, message: string, streamId = 0) {
    super(message);
    this.http2Code = http2Code;
    this.streamId = streamId;
  }
}
