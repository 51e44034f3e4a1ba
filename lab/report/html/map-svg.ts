import type { MapHouse, MapModel, MapTunnel } from './map-model.ts';
import {
  middleOf,
  type MapLayout,
  type PlacedHouse,
  type PlacedNode,
  type PlacedPort,
  type Point,
} from './map-layout.ts';
import { html, type Markup } from './markup.ts';

/** Draws a laid-out map; `id` distinguishes several drawings of one world on a page. */
export function drawMap(model: MapModel, layout: MapLayout, id: string): Markup {
  const { width, height } = layout;
  return html`<svg
    class="map ${layout.isCompact ? 'compact' : ''}"
    id="${id}"
    viewBox="-2 -2 ${width + 4} ${height + 4}"
    width="${width + 4}"
    role="img"
    aria-labelledby="${id}-title ${id}-about"
  >
    <title id="${id}-title">Map of the world</title>
    <desc id="${id}-about">${aboutMap(model)}</desc>
    ${layout.nodes.map(drawNode)} ${layout.fabric.map(drawFabric(model))}
    <g class="wires">${drawWires(model, layout)}</g>
    ${layout.houses.map((each) => drawHouse(each, layout.isCompact))}
    <g class="tunnels">${model.tunnels.map((tunnel) => drawTunnel(tunnel, layout))}</g>
    <g class="ports">${layout.ports.map(drawPort)}</g>
    <g class="replay" aria-hidden="true">
      <polyline class="trail" points="" />
      <circle class="halo" r="15" cx="0" cy="0" />
      <g class="packet">
        <rect x="-11" y="-8" width="22" height="16" rx="3" />
        <path d="M-11 -7 L0 2 L11 -7" />
      </g>
    </g>
  </svg>`;
}

/** The map in words, for whoever does not see it. */
function aboutMap({ nodes, outside, tunnels }: MapModel): string {
  const parts = nodes.map((node) => {
    const pods = node.houses.map(
      ({ title, addresses, isEnrolled }) =>
        `${title} ${addresses.join(' and ')}${isEnrolled ? ' in the mesh' : ''}`,
    );
    return `Node ${node.name} ${node.addresses.join(' and ')} with ${pods.join(', ')}.`;
  });
  const far =
    outside === undefined ? [] : [`Outside the cluster: ${outside.addresses.join(' and ')}.`];
  return [...parts, ...far, ...tunnels.map(({ text }) => `${text}.`)].join(' ');
}

function drawNode({ node, x, y, width, height }: PlacedNode): Markup {
  return html`<g class="node">
    <rect x="${x}" y="${y}" width="${width}" height="${height}" rx="10" />
    <use href="#icon-node" x="${x + 12}" y="${y + 10}" width="20" height="20" />
    <text class="name" x="${x + 38}" y="${y + 25}">${clip(node.name, 22)}</text>
    <text class="address" x="${x + width - 12}" y="${y + 25}" text-anchor="end"
      >${node.addresses.join('  ')}</text
    >
    <text class="small" x="${x + width / 2 + 84}" y="${y + height - 29}"
      >kernel of ${clip(node.name, 12)}</text
    >
    <circle class="kernel" cx="${x + width / 2 + 70}" cy="${y + height - 34}" r="7" />
  </g>`;
}

function drawFabric(model: MapModel) {
  return (box: { x: number; y: number; width: number; height: number }, index: number): Markup =>
    html` <g class="fabric">
      <rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="6" />
      ${
        box.width > 40 &&
        html`<text class="small" x="${box.x + 12}" y="${box.y + 19}"
          >${index === 0 ? (model.fabric?.name ?? '') : 'the same switch'}</text
        >`
      }
    </g>`;
}

function drawWires(model: MapModel, { places, buses }: MapLayout): readonly Markup[] {
  const lines = model.wires.flatMap(([a, b]) => {
    const [from, to] = [places[a], places[b]];
    return from === undefined || to === undefined ? [] : [[from, to]];
  });
  return [
    ...buses.map((points) => html`<polyline class="bus" points="${pointsOf(points)}" />`),
    ...lines.map((points) => html`<polyline class="veth" points="${pointsOf(points)}" />`),
  ];
}

const ROLES: Readonly<Record<MapHouse['role'], string>> = {
  pod: 'pod',
  system: 'system pod',
  ztunnel: 'ztunnel pod',
  outside: 'not in the cluster',
};

function drawHouse({ house, x, y, width, height }: PlacedHouse, isCompact: boolean): Markup {
  const isSmall = height < 60;
  const middle = middleOf({ x, y, width, height });
  const characters = isSmall ? 15 : 19;
  return html`<g class="house ${house.role} ${house.isEnrolled && 'enrolled'}">
    <title>
      ${ROLES[house.role]} ${house.netns}
      ${house.addresses.join(', ')}${house.isEnrolled ? ', in the mesh' : ''}
    </title>
    ${outline(house, x, y, width, height)}
    <text class="name" x="${x + 10}" y="${y + (isSmall ? 16 : 19)}"
      >${clip(house.title, characters)}</text
    >
    ${!isSmall && house.addresses.map((address, index) => html`<text class="address" x="${x + 10}" y="${y + 35 + index * 15}">${address}</text>`)}
    ${
      !isSmall &&
      house.isEnrolled &&
      html`<text class="badge" x="${x + width - 8}" y="${y + 35}" text-anchor="end">mesh</text>`
    }
    ${program(house, x, middle, isSmall)}
    ${house.hasProxy && proxy(house, x + width, middle, [isSmall, isCompact])}
  </g>`;
}

/** Pods are round, a ztunnel's pod has cut corners, the outside is an ellipse-like pill. */
function outline(house: MapHouse, x: number, y: number, width: number, height: number): Markup {
  if (house.role === 'ztunnel') {
    const c = 12;
    const [r, b] = [x + width, y + height];
    return html`<polygon
      class="shape"
      points="${x + c},${y} ${r - c},${y} ${r},${y + c} ${r},${b - c} ${r - c},${b} ${x + c},${b} ${x},${b - c} ${x},${y + c}"
    />`;
  }
  const radius = house.role === 'outside' ? 26 : 8;
  return html`<rect
    class="shape"
    x="${x}"
    y="${y}"
    width="${width}"
    height="${height}"
    rx="${radius}"
  />`;
}

function program(house: MapHouse, x: number, y: number, isSmall: boolean): Markup | undefined {
  if (house.role === 'ztunnel') return undefined;
  const [cx, r] = isSmall ? [x + 14, 6] : [x + 24, 9];
  return html`<circle class="app" cx="${cx}" cy="${y}" r="${r}" />
    ${!isSmall && html`<text class="small" x="${cx}" y="${y + 23}" text-anchor="middle">app</text>`}`;
}

function proxy(
  { hasSidecar }: MapHouse,
  right: number,
  y: number,
  [isSmall, isCompact]: readonly [boolean, boolean],
): Markup {
  const [x, r] = isSmall ? [right - 16, 7] : [right - 26, 11];
  const points = [0, 1, 2, 3, 4, 5].map((corner) => {
    const angle = (corner * Math.PI) / 3;
    return [x + r * Math.cos(angle), y + r * Math.sin(angle)] as const;
  });
  return html`<polygon class="proxy" points="${pointsOf(points)}" /> ${
      !isSmall &&
      !isCompact &&
      html`<text class="small" x="${right - 5}" y="${y + 24}" text-anchor="end"
        >${hasSidecar ? 'envoy' : 'ztunnel'}</text
      >`
    }`;
}

function drawPort({ place, name, at: [x, y], label }: PlacedPort): Markup {
  const isLoop = name === 'lo';
  return html`<g class="port" data-place="${place}">
    <title>${place}</title>
    ${
      isLoop
        ? html`<circle cx="${x}" cy="${y}" r="5" /><text
              class="tiny"
              x="${x}"
              y="${y - 8}"
              text-anchor="middle"
              >lo</text
            >`
        : html`<rect x="${x - 4.5}" y="${y - 4.5}" width="9" height="9" />`
    }
    ${
      label !== 'none' &&
      !isLoop &&
      html`<text
        class="tiny"
        x="${x + (label === 'right' ? 9 : -9)}"
        y="${y + 13}"
        text-anchor="${label === 'right' ? 'start' : 'end'}"
        >${clip(name, 15)}</text
      >`
    }
  </g>`;
}

/** An arc below the straight line, where the names of pods are not. */
function drawTunnel(tunnel: MapTunnel, { places }: MapLayout): Markup | undefined {
  const [from, to] = [places[tunnel.from], places[tunnel.to]];
  if (from === undefined || to === undefined) return undefined;
  const control = bendOf(tunnel, from, to);
  const middle = [
    (from[0] + 2 * control[0] + to[0]) / 4,
    (from[1] + 2 * control[1] + to[1]) / 4,
  ] as const;
  return html`<g class="tunnel ${tunnel.kind}">
    <title>${tunnel.text}</title>
    <path d="M${round(from)} Q${round(control)} ${round(to)}" />
    ${tunnel.label === undefined ? seal(middle) : arcLabel(tunnel.label, middle)}
  </g>`;
}

/** Overlays have short ways, from one device to the next, and bend little. */
function bendOf({ kind }: MapTunnel, from: Point, to: Point): Point {
  const [x, y] = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const distance = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (kind === 'geneve' || kind === 'vxlan') return [x, y + Math.min(40, distance / 5)];
  return from[0] === to[0] ? [x + 40, y] : [x, y + Math.min(84, 60 + distance / 12)];
}

function seal([x, y]: Point): Markup {
  return html`<circle class="seal" cx="${x.toFixed(0)}" cy="${y.toFixed(0)}" r="9" />
    <use
      href="#icon-lock"
      x="${(x - 6).toFixed(0)}"
      y="${(y - 7).toFixed(0)}"
      width="12"
      height="12"
    />`;
}

function arcLabel(text: string, [x, y]: Point): Markup {
  return html`<text class="small" x="${x.toFixed(0)}" y="${(y + 4).toFixed(0)}" text-anchor="middle"
    >${text}</text
  >`;
}

function pointsOf(points: readonly Point[]): string {
  return points.map(round).join(' ');
}

function round([x, y]: Point): string {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

/** Names of replicas differ at their ends: what does not fit goes missing before that. */
function clip(text: string, characters: number): string {
  const signs = [...text];
  if (signs.length <= characters) return text;
  const end = Math.floor(characters / 3);
  return `${signs.slice(0, characters - 1 - end).join('')}…${signs.slice(-end).join('')}`;
}
