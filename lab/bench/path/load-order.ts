export interface LoadOrder {
  readonly kind: 'latency' | 'closed' | 'connections' | 'throughput' | 'hold';
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** For `latency`: requests per second over all connections; for `throughput`: bytes a second. */
  readonly rate?: number;
}

export interface LoadResult {
  /** Requests, connections or bytes, by kind. */
  readonly done: number;
  readonly seconds: number;
  readonly failures: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
}

export const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: app\r\nUser-Agent: bench\r\n\r\n');
/** Bytes of the app's answer: head of 65 bytes, body of 128. */
export const RESPONSE_BYTES = 193;
/** Time before the measured window: connections up, code warm. */
export const WARM_UP_MS = 500;
