import type { Recording } from './layout.ts';

/** A network namespace to record: every interface it has, and gets later. */
export interface RecordedNetns {
  /** As in the plan; names files and interfaces. */
  readonly name: string;
  /** Where the namespace is bound, as the recorder sees it: `/run/netns/node1`. */
  readonly path: string;
}

export interface RecorderStart {
  readonly netns: readonly RecordedNetns[];
  /** Capture directory (`layout.ts`); made when absent, files in it are overwritten. */
  readonly dir: string;
  /** Bytes kept of each frame. */
  readonly snapLength: number;
  /** Receive buffer of each interface. */
  readonly bufferBytes: number;
}

/** What is on disk now. */
export interface RecorderProgress {
  readonly frames: number;
  readonly conntrackEvents: number;
  readonly interfaces: number;
}

/** Methods of the recorder: parameters and result. */
export interface RecorderMethods {
  start: [RecorderStart, RecorderProgress];
  /** Names that are recorded already are left as they are. */
  addNetns: [readonly RecordedNetns[], RecorderProgress];
  /** Files of these are finished, and nothing of ours holds the namespaces any more. */
  removeNetns: [readonly string[], RecorderProgress];
  /** Interfaces that appeared are found by themselves; this returns when all are recorded. */
  rescan: [null, RecorderProgress];
  flush: [null, RecorderProgress];
  stop: [null, Recording];
}

/**
 * The recorder is a child process with an IPC channel (`process.send`). Each request gets one answer
 * with its id, in order. When the channel closes, the recorder finishes its files and ends.
 */
export interface RecorderRequest<M extends keyof RecorderMethods = keyof RecorderMethods> {
  readonly id: number;
  readonly method: M;
  readonly params: RecorderMethods[M][0];
}

export type RecorderAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly message: string; readonly code?: string } };
