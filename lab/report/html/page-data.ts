/**
 * What the script of a page gets from its maker, as JSON inside the page. Shared by both, so it
 * imports nothing.
 */
export interface PageData {
  readonly requests: readonly ReplayRequest[];
  /** Each header once, however many frames have it: name, then name and value of its fields. */
  readonly layers: readonly PackedLayer[];
  /** Frames of a hop, by the id of its element in the ladder. */
  readonly hops: Readonly<Record<string, PackedHop>>;
  /** Every drawing of the map, by the id of its element. */
  readonly maps: Readonly<Record<string, PackedMap>>;
}

export type Point = readonly [x: number, y: number];

export interface PackedMap {
  /** Where places are on it. */
  readonly places: Readonly<Record<string, Point>>;
  /** From interfaces of a node to the line that joins them. */
  readonly vias: Readonly<Record<string, readonly Point[]>>;
}

export type PackedLayer = readonly [
  name: string,
  fields: readonly (readonly [name: string, value: string])[],
];

export interface PackedHop {
  readonly file: string;
  readonly frames: readonly PackedFrame[];
  /** Frames of the connection here that are not shown. */
  readonly others: number;
}

export interface PackedFrame {
  readonly number: number;
  /** Since the request began, as text. */
  readonly at: string;
  readonly isFromClient: boolean;
  readonly bytes: number;
  readonly mark: string;
  readonly says: string;
  /** Whether this is the frame that the hop was counted by. */
  readonly isPassage: boolean;
  /** Indices into `layers`. */
  readonly layers: readonly number[];
}

export interface ReplayRequest {
  /** Id of the element that holds its ladder. */
  readonly id: string;
  readonly name: string;
  readonly steps: readonly ReplayStep[];
}

export interface ReplayStep {
  /** Place on the map: `sleep.demo/eth0` for an interface, `app:sleep.demo`, `zt:sleep.demo`. */
  readonly place: string;
  /** Leg it belongs to, from 1. */
  readonly leg: number;
  readonly kind: 'program' | 'hop';
  readonly wrapping: 'plain' | 'hbone' | 'mtls';
  readonly title: string;
  readonly text: string;
  /** Id of the element in the ladder. */
  readonly hop?: string;
}
