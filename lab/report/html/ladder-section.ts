import { splitAddress } from '../../facts/address.ts';
import type { Connection, Leg, Path, RunFacts, Sighting } from '../../facts/facts.ts';
import { nameOf } from '../../judge/places.ts';
import type { Check, Outcome, ScenarioVerdict } from '../../judge/verdict.ts';
import {
  endText,
  kindOf,
  marksText,
  passText,
  sinceText,
  translationsBefore,
  translationsInside,
  tunnelTexts,
} from '../leg-words.ts';
import { counted, formatBytes, formatUs } from '../text.ts';
import { passSentence } from './hooks.ts';
import { html, type Markup } from './markup.ts';
import { hopId } from './replay-steps.ts';
import { frameList, outcomeBadge } from './words.ts';

export interface RequestView {
  /** Id of its element. */
  readonly id: string;
  readonly name: string;
  readonly path: Path;
  /** What was judged on it; shown once per scenario. */
  readonly scenario?: ScenarioVerdict;
  readonly note?: string;
}

export interface LadderContext {
  readonly facts: RunFacts;
  /** Namespaces whose rules stand on the page. */
  readonly withRules: ReadonlySet<string>;
}

/** One request: its ladder, each hop to be opened, and its verdicts. */
export function ladderSection(view: RequestView, context: LadderContext, isOpen: boolean): Markup {
  const { path, scenario } = view;
  const outcome: Outcome | undefined = scenario?.outcome;
  return html`<details class="request" id="${view.id}" ${isOpen && html`open`}>
    <summary>
      ${outcome && outcomeBadge(outcome, false)}
      <span class="request-name">${view.name}</span>
      <span class="figures">${figuresOf(path)}</span>
    </summary>
    <div class="request-body">
      <p class="actions">
        <button type="button" class="replay-this" data-request="${view.id}">
          <svg class="icon" aria-hidden="true"><use href="#icon-play" /></svg>Replay on the map
        </button>
        ${view.note && html`<span class="note">${view.note}</span>`}
      </p>
      <ol class="legs">
        ${path.legs.map((leg, index) => legItem(view, leg, index, context))}
      </ol>
      ${path.failure !== undefined && html`<p class="failure">The proxy ended it: ${path.failure}</p>`}
      ${path.missing.map((text) => html`<p class="missing">${outcomeBadge('could not run', false)} not joined: ${text}</p>`)}
      ${evidence(path)} ${scenario && checkList(scenario.checks)}
    </div>
  </details>`;
}

/** `200 · 3 legs · 2 hops · 8 passes · 85 ms`. */
function figuresOf(path: Path): string {
  const { request } = path;
  const answer = request.status ?? (request.outcome === 'ok' ? 'answered' : request.outcome);
  return [
    String(answer),
    counted(path.legs.length, 'leg'),
    counted(path.hops, 'hop'),
    counted(path.passes, 'pass', 'passes'),
    formatUs(path.durationUs),
  ].join(' · ');
}

function legItem(
  view: RequestView,
  leg: Leg,
  legIndex: number,
  context: LadderContext,
): Markup | undefined {
  const connection = context.facts.connections[leg.connection];
  if (connection === undefined) return undefined;
  const { sightings } = connection;
  return html`<li class="leg ${leg.encapsulation}">
    <h4>
      <span class="leg-number">${leg.number}</span> ${endText(leg.from)} → ${endText(leg.to)}
      <span class="kind"
        >${leg.encapsulation !== 'plain' && html`<svg class="icon" aria-hidden="true"><use href="#icon-lock" /></svg>`}${kindOf(leg)}</span
      >
    </h4>
    <p class="tuple">${tupleText(context.facts, leg, connection)}</p>
    ${tunnelText(leg, connection)}
    <div class="hops">
      ${sightings.map((_, index) => hopItem(view, leg, [legIndex, index], sightings, context))}
    </div>
  </li>`;
}

const ENDINGS: Readonly<Partial<Record<Connection['end'], string>>> = {
  refused: 'refused',
  reset: 'reset',
  unanswered: 'no answer',
};

function tupleText(facts: RunFacts, leg: Leg, connection: Connection): Markup {
  const { bytesSent, bytesReceived } = leg.hbone?.stream ?? connection;
  const { listener } = leg.to;
  const isHidden = listener !== undefined && !leg.to.address.endsWith(`:${listener}`);
  const ending = ENDINGS[connection.end];
  return html`<code>${leg.from.address} → ${leg.to.address}</code>
    ${isHidden && html`, taken by :${listener}`}
    ${leg.wanted !== undefined && html`, wanted <code>${leg.wanted}</code> ${named(facts, leg.wanted)}`}
    ${ending && html`, <strong>${ending}</strong>`}
    <span class="bytes">→ ${formatBytes(bytesSent)} ← ${formatBytes(bytesReceived)}</span>`;
}

function named(facts: RunFacts, address: string): string {
  const { ip } = splitAddress(address);
  const name = nameOf(facts, ip);
  return name === ip ? '' : `(${name})`;
}

function tunnelText(leg: Leg, { tls }: Connection): Markup | undefined {
  const { hbone } = leg;
  const session = hbone ?? leg.mtls;
  if (session === undefined) return undefined;
  const { authority, status } = hbone?.stream ?? {};
  const connect =
    authority === undefined ? undefined : `CONNECT ${authority} → ${status ?? 'no answer'}`;
  if (tls?.state !== 'decrypted') {
    const why =
      tls?.state === 'cleartext'
        ? 'HTTP/2 without TLS'
        : `TLS, not decrypted: ${tls?.reason ?? 'no secrets'}`;
    return html`<p class="tls">${[why, connect].filter(Boolean).join(' · ')}</p>`;
  }
  const { version, cipher, alpn, clientIdentity, serverIdentity } = session;
  const sni = leg.mtls?.sni && `SNI ${leg.mtls.sni}`;
  const words = [version, cipher, alpn, sni, connect].filter(Boolean).join(' · ');
  return html`<p class="tls">
    ${words}<br /><code>${clientIdentity ?? 'no identity'}</code> ⇄
    <code>${serverIdentity ?? 'no identity'}</code>
  </p>`;
}

function hopItem(
  { id }: RequestView,
  leg: Leg,
  [legIndex, index]: readonly [number, number],
  sightings: readonly Sighting[],
  context: LadderContext,
): Markup {
  const sighting = sightings[index]!;
  const isLast = index === sightings.length - 1;
  const pass = passText(context.facts, sightings, index);
  const passage = leg.passages[index]?.frame ?? sighting.firstFrame;
  const before = translationsBefore(leg, sightings, index);
  const inside = isLast ? translationsInside(leg, sighting) : [];
  const arrow = sighting.direction === 'loop' ? '↻' : sighting.direction === 'in' ? '↘' : '↗';
  return html`${before.map(natLine)}
    <details class="hop" id="${hopId(id, legIndex, index)}">
      <summary>
        <span class="place">${sighting.netns}/${sighting.interface}</span>
        <span class="direction"
          ><span aria-hidden="true">${arrow}</span> ${sighting.direction}</span
        >
        <span class="ttl">ttl ${sighting.ttl}</span>
        <span class="pass">${pass}</span>
        <span class="frame">#${passage}</span>
        <span class="since">${sinceText(leg, index)}</span>
        <span class="marks">${marksText(sighting)}</span>
        ${tunnelTexts(sighting).map((text) => html`<span class="wrapped"><span class="tag">Tunnel</span> ${text}</span>`)}
      </summary>
      <div class="hop-body">
        ${hopFacts(sighting, pass, passage, context)}
        <div class="views" data-hop="${hopId(id, legIndex, index)}"></div>
      </div>
    </details>
    ${inside.map(natLine)}`;
}

function natLine(text: string): Markup {
  return html`<p class="nat"><span class="tag">NAT</span> ${text}</p>`;
}

function hopFacts(
  sighting: Sighting,
  pass: string,
  passage: number,
  { withRules }: LadderContext,
): Markup {
  const marks = marksText(sighting);
  return html`<dl class="hop-facts">
    <div>
      <dt>Capture</dt>
      <dd><code>${sighting.file}</code> frame <strong>#${passage}</strong></dd>
    </div>
    <div>
      <dt>Rules passed</dt>
      <dd>
        ${passSentence(pass)}
        ${pass !== 'switch' && withRules.has(sighting.netns) && html` – <a href="#rules-${sighting.netns}">rules of ${sighting.netns}</a>`}
      </dd>
    </div>
    <div>
      <dt>Addresses here</dt>
      <dd>
        <code>${sighting.client} → ${sighting.server}</code>${
          sighting.repliesFrom !== undefined &&
          html`, answered from <code>${sighting.repliesFrom}</code>`
        }${
          sighting.repliesTo !== undefined &&
          html`, answered to <code>${sighting.repliesTo}</code>: NAT changed the client's port`
        }
      </dd>
    </div>
    <div>
      <dt>Marks</dt>
      <dd>${marks === '' ? 'none seen' : html`<code>${marks}</code>`}</dd>
    </div>
    <div>
      <dt>TTL</dt>
      <dd>
        ${sighting.ttl}${sighting.replyTtl !== undefined && html`, answers ${sighting.replyTtl}`}
      </dd>
    </div>
    <div>
      <dt>Seen here</dt>
      <dd>${sighting.frames} frames, ${formatBytes(sighting.bytes)}</dd>
    </div>
  </dl>`;
}

function evidence({ joins }: Path): Markup | undefined {
  if (joins.length === 0) return undefined;
  return html`<details class="joins">
    <summary>Joined by ${counted(joins.length, 'piece')} of evidence</summary>
    <ul>
      ${joins.map(({ evidence: kind, text }) => html`<li><strong>${kind.replaceAll('-', ' ')}</strong> ${text}</li>`)}
    </ul>
  </details>`;
}

/** Verdicts with all they rest on. */
function checkList(checks: readonly Check[]): Markup {
  return html`<ul class="checks">
    ${checks.map(
      (check) =>
        html`<li>
          <details>
            <summary>${outcomeBadge(check.outcome)} <span>${check.text}</span></summary>
            <dl class="hop-facts">
              <div>
                <dt>Check</dt>
                <dd><code>${check.name}</code></dd>
              </div>
              <div>
                <dt>Wanted</dt>
                <dd>${check.wanted}</dd>
              </div>
              <div>
                <dt>Seen</dt>
                <dd>${check.seen}</dd>
              </div>
              ${
                check.needs !== undefined &&
                html`<div>
                  <dt>Needs</dt>
                  <dd>${check.needs}</dd>
                </div>`
              }
              ${
                check.frames.length > 0 &&
                html`<div>
                  <dt>Frames</dt>
                  <dd>${frameList(check.frames)}</dd>
                </div>`
              }
            </dl>
          </details>
        </li>`,
    )}
  </ul>`;
}
