/** What the load generator of a client's namespace is told to do, one line of JSON each. */
export type LoadOrder = OpenLoopOrder | ClosedLoopOrder | NewConnectionsOrder | ThroughputOrder;

interface Window {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Load before the window, which counts for nothing. */
  readonly warmUpMs: number;
  readonly windowMs: number;
}

/** Requests leave when they are due, whatever became of those before. */
export interface OpenLoopOrder extends Window {
  readonly kind: 'open-loop';
  /** Requests per second over all connections, evenly spread. */
  readonly rate: number;
  /** Tell of each request when it was sent and when answered. */
  readonly isTraced?: boolean;
}

/** Each connection asks again as soon as it is answered. */
export interface ClosedLoopOrder extends Window {
  readonly kind: 'closed-loop';
}

/** Each lane connects, asks once, closes and begins again. */
export interface NewConnectionsOrder extends Window {
  readonly kind: 'new-connections';
}

/** Bytes to a port that swallows them, as many as it takes. */
export interface ThroughputOrder extends Window {
  readonly kind: 'throughput';
}

/** What the generator says, one line of JSON each: the window's two ends as they pass, the result. */
export type LoadReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'opened' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'result'; readonly result: LoadResult }
  | { readonly kind: 'failed'; readonly message: string };

export interface LoadResult {
  /** Requests answered, connections served, or bytes sent, of the window. */
  readonly done: number;
  /** How long the window really was. */
  readonly seconds: number;
  /** Requests of the window that were never answered, connections that failed. */
  readonly failures: number;
  /** CPU that the generator itself used during the window. */
  readonly clientCpuSeconds: number;
  readonly latency?: LatencyResult;
}

/** HDR histograms in microseconds, as `packHistogram` writes them. */
export interface LatencyResult {
  /** From the moment a request was due; a wait for its connection counts. */
  readonly intended: string;
  /** From the moment a request was sent, as a closed loop measures. */
  readonly sent: string;
  /** How late the generator itself was: from due to sent, of requests whose connection was free. */
  readonly lateness: string;
  /** Of each request of the window, in order: Unix nanoseconds as decimal strings. */
  readonly trace?: readonly (readonly [sentNs: string, answeredNs: string])[];
}
