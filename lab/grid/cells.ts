/** What a pod's traffic goes through before it leaves, and before its app gets it. */
export const MODES = ['none', 'sidecar', 'ambient'] as const;
export type Mode = (typeof MODES)[number];

/** Whether client and server share a node. */
export const DISTANCES = ['same', 'other'] as const;
export type Distance = (typeof DISTANCES)[number];

/** What the client calls the server by. */
export const CALLED_BY = ['service', 'pod'] as const;
export type CalledBy = (typeof CALLED_BY)[number];

/** One ordered pair in one place, called in one way. */
export interface Cell {
  /** Counts from 1 over the whole grid, so that a cell keeps its number when others are left out. */
  readonly number: number;
  readonly client: Mode;
  readonly server: Mode;
  readonly distance: Distance;
  readonly calledBy: CalledBy;
}

/** What a person picked of the grid; absent is all. */
export interface CellChoice {
  readonly from?: readonly Mode[];
  readonly to?: readonly Mode[];
  readonly node?: readonly Distance[];
  readonly by?: readonly CalledBy[];
}

/** All cells, or those that were picked, in the order in which they are told. */
export function cellsOf({ from, to, node, by }: CellChoice = {}): readonly Cell[] {
  const all = MODES.flatMap((client) =>
    MODES.flatMap((server) =>
      DISTANCES.flatMap((distance) =>
        CALLED_BY.map((calledBy) => ({ client, server, distance, calledBy })),
      ),
    ),
  );
  return all
    .map((cell, index) => ({ number: index + 1, ...cell }))
    .filter(
      (cell) =>
        (from ?? MODES).includes(cell.client) &&
        (to ?? MODES).includes(cell.server) &&
        (node ?? DISTANCES).includes(cell.distance) &&
        (by ?? CALLED_BY).includes(cell.calledBy),
    );
}

/** Pods of `topologies/grid.yaml` that a cell is about: its client and its server. */
export function podsOf({ client, server, distance }: Cell): readonly [string, string] {
  return [`${client}-client`, `${server}-${distance === 'same' ? 'near' : 'far'}`];
}

/** Whether somebody of the pair has an Envoy. */
export function needsEnvoy({ client, server }: Cell): boolean {
  return client === 'sidecar' || server === 'sidecar';
}

/** Mode in words for people. */
export const MODE_WORDS: Readonly<Record<Mode, string>> = {
  none: 'no mesh',
  sidecar: 'sidecar',
  ambient: 'ambient',
};

/** `sidecar → ambient, other node, by service`. */
export function nameOf({ client, server, distance, calledBy }: Cell): string {
  const by = calledBy === 'service' ? 'service' : 'pod IP';
  return `${MODE_WORDS[client]} → ${MODE_WORDS[server]}, ${distance} node, by ${by}`;
}
