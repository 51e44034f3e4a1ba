import type { MapModel } from './map-model.ts';
import { layoutMap, type MapLayout } from './map-layout.ts';
import { drawMap } from './map-svg.ts';
import { html, type Markup } from './markup.ts';
import type { PackedMap, PageData, Point, ReplayRequest } from './page-data.ts';

export interface Stage {
  readonly markup: Markup;
  readonly maps: PageData['maps'];
}

/** Above this many pods, boxes shrink; above the second, the drawing grows wider than a column. */
const MANY_PODS = 20;
const VERY_MANY_PODS = 44;
const SPEEDS = ['0.5', '1', '2', '4'];

/** The map, drawn for wide and for narrow screens, and the controls of the replay. */
export function renderStage(model: MapModel, requests: readonly ReplayRequest[]): Stage {
  const houses = model.nodes.reduce((sum, { houses: each }) => sum + each.length, 0);
  const isCompact = houses > MANY_PODS;
  const wide = layoutMap(model, { width: houses > VERY_MANY_PODS ? 1120 : 760, isCompact });
  const narrow = layoutMap(model, { width: 376, isCompact: houses > 6 });
  return {
    maps: { 'map-wide': packMap(wide), 'map-narrow': packMap(narrow) },
    markup: html`<section class="stage" id="replay" aria-labelledby="stage-title">
      <h2 id="stage-title">The world</h2>
      ${controls(requests)}
      <div class="map-frame wide-only" tabindex="0" role="group" aria-label="Map, scrolls">
        ${drawMap(model, wide, 'map-wide')}
      </div>
      <div class="map-frame narrow-only" tabindex="0" role="group" aria-label="Map, scrolls">
        ${drawMap(model, narrow, 'map-narrow')}
      </div>
      ${legend(model)}
    </section>`,
  };
}

function packMap({ places, vias }: MapLayout): PackedMap {
  const rounded = ([x, y]: Point): Point => [Math.round(x), Math.round(y)];
  return {
    places: Object.fromEntries(Object.entries(places).map(([place, at]) => [place, rounded(at)])),
    vias: Object.fromEntries(Object.entries(vias).map(([place, way]) => [place, way.map(rounded)])),
  };
}

function controls(requests: readonly ReplayRequest[]): Markup | undefined {
  if (requests.length === 0) return undefined;
  const steps = requests[0]?.steps.length ?? 0;
  return html`<div
    class="player"
    id="player"
    role="group"
    tabindex="0"
    aria-label="Replay of one request"
    aria-describedby="player-keys"
    aria-keyshortcuts="Space ArrowLeft ArrowRight Home End"
  >
    <label class="pick"
      ><span>Replay</span>
      <select id="player-request">
        ${requests.map(({ id, name }) => html`<option value="${id}">${name}</option>`)}
      </select></label
    >
    <div class="buttons">
      ${button('first', 'To the start')} ${button('back', 'One step back')}
      <button type="button" id="player-play" class="primary" aria-pressed="false">
        <svg class="icon" aria-hidden="true"><use href="#icon-play" /></svg><span>Play</span>
      </button>
      ${button('next', 'One step on')} ${button('last', 'To the end')}
      <label class="speed"
        ><span>Speed</span>
        <select id="player-speed">
          ${SPEEDS.map((speed) => html`<option value="${speed}" ${speed === '1' && html`selected`}>${speed}×</option>`)}
        </select></label
      >
      <span class="counter" id="player-counter">0 / ${steps}</span>
    </div>
    <input type="range" id="player-range" min="0" max="${steps}" value="0" aria-label="Step" />
    <div class="caption" id="player-caption" aria-live="polite">
      <p><strong id="caption-title">Before the request</strong></p>
      <p id="caption-text">Press Play, or step through with the arrow keys.</p>
      <div class="strip" id="caption-strip"></div>
    </div>
    <p class="keys" id="player-keys">
      Keys: <kbd>Space</kbd> play or pause, <kbd>←</kbd> <kbd>→</kbd> one step, <kbd>Home</kbd>
      <kbd>End</kbd> start and end.
    </p>
  </div>`;
}

function button(name: string, label: string): Markup {
  return html`<button type="button" id="player-${name}" aria-label="${label}" title="${label}">
    <svg class="icon" aria-hidden="true"><use href="#icon-${name}" /></svg>
  </button>`;
}

function legend({ tunnels, undrawnTunnels }: MapModel): Markup {
  const kinds = new Set(tunnels.map(({ kind }) => kind));
  return html`<details class="legend">
    <summary>What the signs mean</summary>
    <ul>
      <li>
        <svg viewBox="0 0 24 16"><circle class="app" cx="12" cy="8" r="6" /></svg> an app, the
        program of a pod
      </li>
      <li>
        <svg viewBox="0 0 24 16">
          <polygon class="proxy" points="19,8 15.5,14 8.5,14 5,8 8.5,2 15.5,2" />
        </svg>
        sockets that ztunnel holds inside that pod's namespace; the program itself runs in the
        ztunnel pod
      </li>
      <li>
        <svg viewBox="0 0 24 16"><rect class="port-sign" x="8" y="4" width="8" height="8" /></svg>
        an interface; lines are veth pairs and routes inside a node
      </li>
      <li>
        <svg viewBox="0 0 24 16">
          <rect class="mesh-sign" x="3" y="2" width="18" height="12" rx="3" />
        </svg>
        thick edge and “mesh”: in the mesh when the lab started
      </li>
      ${
        (kinds.has('hbone') || kinds.has('hbone-clear')) &&
        html`<li>
          <svg viewBox="0 0 24 16"><path class="tunnel-sign" d="M1 12 Q12 0 23 12" /></svg> dashed
          arc: an HBONE tunnel that requests went through, with a lock where it has TLS
        </li>`
      }
      ${
        (kinds.has('geneve') || kinds.has('vxlan')) &&
        html`<li>
          <svg viewBox="0 0 24 16">
            <path class="tunnel-sign overlay-sign" d="M1 12 Q12 0 23 12" />
          </svg>
          dotted arc: a tunnel of packets, from device to device, with its kind and VNI
        </li>`
      }
      ${undrawnTunnels > 0 && html`<li>${undrawnTunnels} more tunnels were seen and are not drawn</li>`}
    </ul>
  </details>`;
}
