import type { PageData, ReplayRequest } from '../page-data.ts';
import { all, byId } from './elements.ts';
import { stripOf } from './hop-views.ts';
import { showOnMaps } from './map-view.ts';

const WRAPPINGS = { plain: 'plain', hbone: 'HBONE', mtls: 'mTLS' } as const;

/** Time a step is shown at speed 1. */
const STEP_MS = 1600;
/** Map and ladder stand side by side from here on; below, scrolling to a hop would hide the map. */
const SIDE_BY_SIDE = '(min-width: 75rem)';

interface State {
  request: ReplayRequest;
  /** 0 before the first step. */
  position: number;
  timer: number | undefined;
}

/** Brings the player to life; without requests there is none. */
export function startReplay(data: PageData): void {
  const [first] = data.requests;
  const player = byId('player', HTMLElement);
  if (first === undefined || player === undefined) return;
  const state: State = { request: first, position: 0, timer: undefined };
  const show = (): void => render(data, state);
  const go = (position: number): void => {
    state.position = Math.max(0, Math.min(state.request.steps.length, position));
    if (state.position === state.request.steps.length) pause();
    show();
  };
  const pause = (): void => {
    window.clearInterval(state.timer);
    state.timer = undefined;
    showPlaying(false);
  };
  const play = (): void => {
    window.clearInterval(state.timer);
    if (state.position === state.request.steps.length) state.position = 0;
    const speed = Number(byId('player-speed', HTMLSelectElement)?.value ?? 1);
    state.timer = window.setInterval(() => go(state.position + 1), STEP_MS / speed);
    showPlaying(true);
    go(state.position + 1);
  };
  const toggle = (): void => (state.timer === undefined ? play() : pause());
  const step = (position: number): void => {
    pause();
    go(position);
  };
  const choose = (id: string): void => {
    const found = data.requests.find((each) => each.id === id);
    if (found === undefined) return;
    pause();
    state.request = found;
    const details = byId(id, HTMLDetailsElement);
    if (details) details.open = true;
    go(0);
  };
  const moves: Readonly<Record<string, () => void>> = {
    ' ': toggle,
    ArrowRight: () => step(state.position + 1),
    ArrowLeft: () => step(state.position - 1),
    Home: () => step(0),
    End: () => step(state.request.steps.length),
  };
  player.addEventListener('keydown', (event) => onKey(event, moves));
  document.addEventListener('keydown', (event) => {
    const isArrow = event.key === 'ArrowRight' || event.key === 'ArrowLeft';
    if (document.activeElement === document.body && isArrow) onKey(event, moves);
  });
  const onClick = (id: string, act: () => void): void =>
    byId(`player-${id}`, HTMLButtonElement)?.addEventListener('click', act);
  onClick('play', toggle);
  onClick('first', () => step(0));
  onClick('back', () => step(state.position - 1));
  onClick('next', () => step(state.position + 1));
  onClick('last', () => step(state.request.steps.length));
  const range = byId('player-range', HTMLInputElement);
  range?.addEventListener('input', () => step(Number(range.value)));
  const select = byId('player-request', HTMLSelectElement);
  select?.addEventListener('change', () => choose(select.value));
  byId('player-speed', HTMLSelectElement)?.addEventListener('change', () => {
    if (state.timer !== undefined) play();
  });
  for (const button of all('button.replay-this', HTMLButtonElement)) {
    button.addEventListener('click', () => {
      choose(button.dataset['request'] ?? '');
      if (select) select.value = state.request.id;
      player.scrollIntoView({ block: 'nearest' });
      player.focus({ preventScroll: true });
    });
  }
  show();
}

/** Keys that a control of its own wants stay with it. */
function onKey(event: KeyboardEvent, moves: Readonly<Record<string, () => void>>): void {
  const move = moves[event.key];
  if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  const { target } = event;
  if (target instanceof HTMLSelectElement) return;
  const isButton = target instanceof HTMLButtonElement;
  if (isButton && event.key === ' ') return;
  event.preventDefault();
  move();
}

function showPlaying(isPlaying: boolean): void {
  const button = byId('player-play', HTMLButtonElement);
  button?.setAttribute('aria-pressed', String(isPlaying));
  button?.querySelector('use')?.setAttribute('href', isPlaying ? '#icon-pause' : '#icon-play');
  const word = button?.querySelector('span');
  if (word) word.textContent = isPlaying ? 'Pause' : 'Play';
  // What is read out step by step while it runs by itself would never come to an end.
  byId('player-caption', HTMLElement)?.setAttribute('aria-live', isPlaying ? 'off' : 'polite');
}

function render(data: PageData, { request, position }: State): void {
  const { steps } = request;
  const step = steps[position - 1];
  const setText = (id: string, text: string): void => {
    const found = document.getElementById(id);
    if (found) found.textContent = text;
  };
  setText('player-counter', `${position} / ${steps.length}`);
  const leg =
    step === undefined ? '' : `Leg ${step.leg}, ${WRAPPINGS[step.wrapping]}: `;
  setText('caption-title', step === undefined ? 'Before the request' : `${leg}${step.title}`);
  setText('caption-text', step?.text ?? 'Press Play, or step through with the arrow keys.');
  byId('caption-strip', HTMLElement)?.replaceChildren(...stripOf(data, step?.hop));
  const range = byId('player-range', HTMLInputElement);
  if (range) {
    range.max = String(steps.length);
    range.value = String(position);
    range.setAttribute('aria-valuetext', step?.title ?? 'before the request');
  }
  showOnMaps(data, steps, position);
  showInLadder(step?.hop);
}

function showInLadder(hop: string | undefined): void {
  for (const old of all('.hop[aria-current]', HTMLElement)) old.removeAttribute('aria-current');
  const found = hop === undefined ? null : document.getElementById(hop);
  found?.setAttribute('aria-current', 'step');
  if (window.matchMedia(SIDE_BY_SIDE).matches) found?.scrollIntoView({ block: 'nearest' });
}
