/**
 * What one scenario request came to, as its client tells it. The first thread of every path: the
 * packets are joined to it by the client's own address, port and namespace.
 * Addresses are `ip:port`, IPv6 in brackets; times are Unix nanoseconds as decimal strings.
 */
export interface RequestResult {
  /** Scenario it was made for; with `count` above 1 each request has its own result, same name. */
  readonly name: string;
  /** As the scenario spelt them. */
  readonly from: string;
  readonly to: string;
  readonly protocol: 'http' | 'tcp' | 'udp';
  /** Random text in the payload (request line, header or body), unique in the run. */
  readonly canary: string;
  /** Namespace the client's socket lived in, e.g. `sleep.demo`, `node1`, `outside`. */
  readonly clientNetns: string;
  readonly startedNs: string;
  readonly endedNs: string;
  /** Socket name of the client; absent when the connection was never made and none was noted. */
  readonly local?: string;
  /** Where the client connected to, before any NAT. */
  readonly remote?: string;
  readonly status?: number;
  /** Of the client program, when the client was a program (curl). */
  readonly exitCode?: number;
  readonly outcome: 'ok' | 'refused' | 'reset' | 'timeout' | 'error';
  /** Client address (`ip` or `ip:port`) the app reported to have seen. */
  readonly sourceSeenByApp?: string;
  readonly error?: string;
  /** What was wrong in the lab right after it, where the scenario asks: cause and place. */
  readonly findings?: readonly { readonly cause: string; readonly at: string }[];
}
