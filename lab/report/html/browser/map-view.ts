import type { PackedMap, PageData, Point, ReplayStep } from '../page-data.ts';

const FRAME_MARGIN = 60;

/** Shows on every drawing of the map how far a request has come. */
export function showOnMaps(data: PageData, steps: readonly ReplayStep[], position: number): void {
  for (const [id, packed] of Object.entries(data.maps)) {
    const { places } = packed;
    const map = document.getElementById(id);
    if (map === null) continue;
    const passed = steps.slice(0, position);
    const points = trailOf(packed, passed);
    const here = passed.at(-1);
    const at = here && places[here.place];
    map.classList.toggle('playing', at !== undefined);
    map.dataset['wrapping'] = here?.wrapping ?? '';
    map
      .querySelector('.trail')
      ?.setAttribute('points', points.map(([x, y]) => `${x},${y}`).join(' '));
    for (const port of map.querySelectorAll<SVGElement>('.port')) {
      const { place } = port.dataset;
      port.classList.toggle('current', place === here?.place);
      port.classList.toggle(
        'passed',
        passed.some((step) => step.place === place),
      );
    }
    if (at === undefined) continue;
    for (const moving of map.querySelectorAll<SVGElement>('.packet, .halo')) {
      moving.style.transform = `translate(${at[0]}px, ${at[1]}px)`;
    }
    keepInSight(map, at);
  }
}

/** Scrolls the frame around a drawing that is larger than it. */
function keepInSight(map: Element, [x, y]: readonly [number, number]): void {
  const frame = map.parentElement;
  if (frame === null || !(map instanceof SVGSVGElement)) return;
  const scale = map.getBoundingClientRect().width / (map.viewBox.baseVal.width || 1);
  const left = x * scale;
  const top = y * scale;
  if (
    left < frame.scrollLeft + FRAME_MARGIN ||
    left > frame.scrollLeft + frame.clientWidth - FRAME_MARGIN
  ) {
    frame.scrollLeft = left - frame.clientWidth / 2;
  }
  if (
    top < frame.scrollTop + FRAME_MARGIN ||
    top > frame.scrollTop + frame.clientHeight - FRAME_MARGIN
  ) {
    frame.scrollTop = top - frame.clientHeight / 2;
  }
}

/** The way so far: straight from place to place, but along the drawn lines inside a node. */
function trailOf({ places, vias }: PackedMap, steps: readonly ReplayStep[]): readonly Point[] {
  const points: Point[] = [];
  let previous: string | undefined;
  for (const { place } of steps) {
    const at = places[place];
    if (at === undefined) continue;
    const [from, to] = [vias[previous ?? ''], vias[place]];
    const isInside = previous !== undefined && netnsOf(previous) === netnsOf(place);
    if (isInside && from && to) points.push(...from, ...[...to].reverse());
    points.push(at);
    previous = place;
  }
  return points;
}

function netnsOf(place: string): string {
  return place.includes('/')
    ? place.slice(0, place.indexOf('/'))
    : place.slice(place.indexOf(':') + 1);
}
