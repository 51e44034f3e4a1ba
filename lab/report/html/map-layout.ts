import type { MapHouse, MapModel, MapNode } from './map-model.ts';

/** Everything of a map has a place now; sizes are in the units of the drawing. */
export interface MapLayout {
  readonly width: number;
  readonly height: number;
  readonly isCompact: boolean;
  readonly nodes: readonly PlacedNode[];
  readonly houses: readonly PlacedHouse[];
  readonly fabric: readonly Box[];
  readonly ports: readonly PlacedPort[];
  /** Lines inside nodes, from pods to the uplink. */
  readonly buses: readonly (readonly Point[])[];
  /** Where a replay goes: interfaces by `netns/name`, programs by `app:netns` and `zt:netns`. */
  readonly places: Readonly<Record<string, Point>>;
  /** From an interface of a node to the line that joins all of them; for the trail of a replay. */
  readonly vias: Readonly<Record<string, readonly Point[]>>;
}

export type Point = readonly [x: number, y: number];

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedNode extends Box {
  readonly node: MapNode;
}

export interface PlacedHouse extends Box {
  readonly house: MapHouse;
}

export interface PlacedPort {
  readonly place: string;
  readonly name: string;
  readonly at: Point;
  /** Side of the port its name stands on. */
  readonly label: 'right' | 'left' | 'none';
}

export interface LayoutOptions {
  readonly width: number;
  readonly isCompact: boolean;
}

const GAP = 14;
const FULL = { width: 160, height: 94, gap: 50 } as const;
/** With a second line for the address of the other family. */
const DUAL = { width: 160, height: 110, gap: 50 } as const;
const COMPACT = { width: 118, height: 50, gap: 40 } as const;
const HEADER = 44;
const FOOTER = 52;
const FABRIC_GAP = 40;
const FABRIC_HEIGHT = 30;
/** Room at the right for what joins the segments of the switch. */
const SPINE = 20;

interface Draft {
  readonly nodes: PlacedNode[];
  readonly houses: PlacedHouse[];
  readonly fabric: Box[];
  readonly ports: PlacedPort[];
  readonly buses: (readonly Point[])[];
  readonly places: Record<string, Point>;
  readonly vias: Record<string, readonly Point[]>;
}

/**
 * Places nodes in rows above segments of the switch, pods in rows inside their nodes, and the
 * outside below. The same model and width give the same map.
 */
export function layoutMap(model: MapModel, options: LayoutOptions): MapLayout {
  const draft: Draft = {
    nodes: [],
    houses: [],
    fabric: [],
    ports: [],
    buses: [],
    places: {},
    vias: {},
  };
  const size = options.isCompact ? COMPACT : hasTwoFamilies(model) ? DUAL : FULL;
  const perRow = nodesPerRow(model, options);
  const spine = model.nodes.length > perRow ? SPINE : 0;
  const nodeWidth = (options.width - spine - GAP * (perRow - 1)) / perRow;
  let y = 0;
  for (let start = 0; start < model.nodes.length; start += perRow) {
    const row = model.nodes.slice(start, start + perRow);
    const heights = row.map((node) => nodeHeight(node, nodeWidth, size));
    const height = Math.max(...heights);
    row.forEach((node, index) => {
      placeNode(draft, node, { x: index * (nodeWidth + GAP), y, width: nodeWidth, height }, size);
    });
    y += height + FABRIC_GAP;
    if (model.fabric !== undefined) {
      draft.fabric.push({ x: 0, y, width: options.width, height: FABRIC_HEIGHT });
      for (const node of row) placeSwitchPort(draft, node, y);
      y += FABRIC_HEIGHT;
    }
    if (start + perRow < model.nodes.length) y += GAP * 2;
  }
  placeLoose(
    draft,
    model.fabric?.netns ?? '',
    model.fabric?.loose ?? [],
    options.width * 0.56 + 30,
    y - FABRIC_HEIGHT / 2,
  );
  joinSegments(draft.fabric);
  if (model.outside !== undefined) y = placeOutside(draft, model.outside, y, options.width);
  if (spine > 0) joinSwitchPorts(draft, model, options.width);
  return { ...draft, width: options.width, height: y + 4, isCompact: options.isCompact };
}

/** Several segments are one switch: a bar at the right says so. */
function joinSegments(fabric: Box[]): void {
  const [first] = fabric;
  const last = fabric.at(-1);
  if (first === undefined || last === undefined || first === last) return;
  const x = first.x + first.width - 12;
  fabric.push({ x, y: first.y, width: 12, height: last.y + last.height - first.y });
}

/** From a segment of the switch to another one a frame takes the bar at the right. */
function joinSwitchPorts(draft: Draft, { nodes, outside }: MapModel, width: number): void {
  const isOutside = (place: string): boolean => place === outside?.hostEnd;
  for (const place of [...nodes.map(({ switchPort }) => switchPort), outside?.hostEnd]) {
    const at = place === undefined ? undefined : draft.places[place];
    if (place === undefined || at === undefined) continue;
    const y = at[1] + (isOutside(place) ? -1 : 1) * (FABRIC_HEIGHT / 2);
    draft.vias[place] = [
      [at[0], y],
      [width - 6, y],
    ];
  }
}

/** Height at which a box has its programs and its loopback: below its name and its addresses. */
export function middleOf({ y, height }: Box): number {
  return y + height - (height > 60 ? 32 : 16);
}

function hasTwoFamilies({ nodes }: MapModel): boolean {
  return nodes.some(({ addresses }) => addresses.length > 1);
}

function nodesPerRow({ nodes }: MapModel, { width }: LayoutOptions): number {
  if (width < 600) return 1;
  return Math.max(1, Math.min(nodes.length, width > 1000 ? 3 : 2));
}

type Size = typeof FULL | typeof DUAL | typeof COMPACT;

function housesPerRow(width: number, size: Size): number {
  return Math.max(1, Math.floor((width - 2 * GAP + GAP) / (size.width + GAP)));
}

function nodeHeight(node: MapNode, width: number, size: Size): number {
  const rows = Math.ceil(node.houses.length / housesPerRow(width, size));
  return HEADER + rows * (size.height + size.gap) + FOOTER;
}

function placeNode(draft: Draft, node: MapNode, box: Box, size: Size): void {
  draft.nodes.push({ ...box, node });
  const perRow = housesPerRow(box.width, size);
  const spineX = box.x + GAP / 2;
  const bottom = box.y + box.height;
  const railY = bottom - 34;
  node.houses.forEach((house, index) => {
    const column = index % perRow;
    const rowY = box.y + HEADER + Math.floor(index / perRow) * (size.height + size.gap);
    const x = box.x + GAP + column * (size.width + GAP);
    placeHouse(draft, house, { x, y: rowY, width: size.width, height: size.height });
    const port: Point = [x + size.width / 2, rowY + size.height + size.gap - 26];
    if (house.hostEnd === undefined) return;
    addPort(draft, house.hostEnd, port, size === COMPACT ? 'none' : 'right');
    const busY = port[1] + 18;
    const via: readonly Point[] = [
      [port[0], busY],
      [spineX, busY],
      [spineX, railY],
    ];
    draft.vias[house.hostEnd] = via;
    draft.buses.push([port, ...via]);
  });
  draft.places[`app:${node.netns}`] = [box.x + box.width / 2 + 70, railY];
  draft.vias[`app:${node.netns}`] = [];
  if (node.uplink !== undefined) {
    const uplink: Point = [box.x + box.width / 2, bottom];
    addPort(draft, node.uplink, uplink, 'right');
    draft.vias[node.uplink] = [[uplink[0], railY]];
    draft.buses.push([[spineX, railY], [uplink[0], railY], uplink]);
  }
  placeLoose(draft, node.netns, node.loose, box.x + GAP * 2, railY);
  for (const name of node.loose) draft.vias[`${node.netns}/${name}`] = [];
}

function placeHouse(draft: Draft, house: MapHouse, box: Box): void {
  draft.houses.push({ ...box, house });
  const isTall = box.height > 60;
  const y = middleOf(box);
  const { x, width } = box;
  draft.places[`app:${house.netns}`] = [x + (isTall ? 24 : 14), y];
  draft.places[`zt:${house.netns}`] = [x + width - (isTall ? 26 : 16), y];
  addPort(draft, `${house.netns}/lo`, [x + width / 2, y], 'none');
  addPort(
    draft,
    `${house.netns}/eth0`,
    [x + width / 2, box.y + box.height],
    isTall ? 'right' : 'none',
  );
  house.loose.forEach((name, index) => {
    const at: Point = [x + 12 + index * 22, box.y + box.height];
    addPort(draft, `${house.netns}/${name}`, at, 'none');
  });
}

function placeSwitchPort(draft: Draft, node: MapNode, y: number): void {
  const uplink = node.uplink === undefined ? undefined : draft.places[node.uplink];
  if (uplink === undefined || node.switchPort === undefined) return;
  addPort(draft, node.switchPort, [uplink[0], y], 'right');
}

function placeOutside(draft: Draft, outside: MapHouse, y: number, width: number): number {
  const boxWidth = FULL.width;
  const height = outside.addresses.length > 1 ? DUAL.height : FULL.height;
  const box = { x: width / 2 - boxWidth / 2, y: y + FABRIC_GAP, width: boxWidth, height };
  const middle = middleOf(box);
  draft.houses.push({ ...box, house: outside });
  draft.places[`app:${outside.netns}`] = [box.x + 24, middle];
  addPort(draft, `${outside.netns}/lo`, [box.x + boxWidth / 2, middle], 'none');
  addPort(draft, `${outside.netns}/eth0`, [width / 2, box.y], 'right');
  if (outside.hostEnd !== undefined) addPort(draft, outside.hostEnd, [width / 2, y], 'right');
  return box.y + box.height;
}

/** Interfaces that lead nowhere else, in a line. */
function placeLoose(
  draft: Draft,
  netns: string,
  names: readonly string[],
  x: number,
  y: number,
): void {
  let at = x;
  for (const name of names) {
    addPort(draft, `${netns}/${name}`, [at, y], 'right');
    at += 26 + name.length * 7;
  }
}

function addPort(draft: Draft, place: string, at: Point, label: PlacedPort['label']): void {
  draft.ports.push({ place, name: place.slice(place.indexOf('/') + 1), at, label });
  draft.places[place] = at;
}
