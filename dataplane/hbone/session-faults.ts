import { Http2Error as WireFault, HpackError } from '../wire/errors.ts';
import { HTTP2_CODE } from '../wire/http2.ts';
import { Http2Error } from './errors.ts';

/** A frame that ends the connection with PROTOCOL_ERROR. */
export function connectionFault(seen: string): WireFault {
  return new WireFault(HTTP2_CODE.protocolError, `Cannot take frame: ${seen}`);
}

/** A window that was exceeded or grew over 2^31-1 (RFC 9113 §6.9.1). */
export function flowControlFault(text: string): WireFault {
  return new WireFault(HTTP2_CODE.flowControlError, text);
}

/** @throws Http2Error of `wire/errors.ts` with FRAME_SIZE_ERROR */
export function assertSize(name: string, payload: Buffer, bytes: number): void {
  if (payload.length === bytes) return;
  throw new WireFault(
    HTTP2_CODE.frameSizeError,
    `Cannot read ${name}: ${payload.length} bytes, ${bytes} wished`,
  );
}

/** The fault of a peer as the connection's error; undefined for what is a bug of ours. */
export function asHttp2Error(error: unknown): Http2Error | undefined {
  if (error instanceof WireFault)
    return new Http2Error(error.message, error.http2Code, 'connection');
  if (error instanceof HpackError) {
    const isLimit = error.fault === 'header-list-size';
    const code = isLimit ? HTTP2_CODE.enhanceYourCalm : HTTP2_CODE.compressionError;
    return new Http2Error(error.message, code, 'connection');
  }
  return undefined;
}
