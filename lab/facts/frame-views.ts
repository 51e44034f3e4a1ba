/** One header of a frame, as names and values for people. */
export interface LayerView {
  readonly name: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** One frame of a leg on one interface. */
export interface FrameView {
  /** In its capture file, from 1, as Wireshark shows it. */
  readonly number: number;
  readonly timeNs: string;
  readonly isFromClient: boolean;
  readonly originalBytes: number;
  readonly mark?: number;
  /** What it says in a few words: `SYN`, `TLS ClientHello`, `HEADERS CONNECT 10.0.0.1:80`. */
  readonly says: string;
  /** Outermost first; TLS and HTTP as far as they could be decrypted. */
  readonly layers: readonly LayerView[];
}

/** What one sighting of a leg looks like from the inside. */
export interface HopView {
  readonly frames: readonly FrameView[];
  /** Frames of the connection here that are not shown: plain acknowledgements, and what was cut. */
  readonly others: number;
}

/** Views of a path: by index of the leg, then by index of the sighting of its connection. */
export type PathViews = readonly (readonly HopView[])[];
