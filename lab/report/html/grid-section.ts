import { CALLED_BY, DISTANCES, MODE_WORDS, MODES } from '../../grid/cells.ts';
import type { CellResult, GridResult } from '../../grid/grid-result.ts';
import { byWords, linkStrip, phraseOf, sourceText, totalsOf } from '../grid-words.ts';
import { counted } from '../text.ts';
import type { RequestView } from './ladder-section.ts';
import { html, type Markup } from './markup.ts';
import { outcomeBadge } from './words.ts';

/** The grid as a table: a row a client and place, a column a server; each cell opens its ladder. */
export function gridSection(grid: GridResult, views: readonly RequestView[]): Markup {
  const servers = MODES.filter((mode) => grid.cells.some(({ server }) => server === mode));
  return html`<section aria-labelledby="grid-title">
    <h2 id="grid-title">Who encrypts where</h2>
    <p>${totalsOf(grid)}</p>
    <div class="table-frame" tabindex="0" role="group" aria-label="Grid, scrolls">
      <table class="cards grid">
        <thead>
          <tr>
            <th scope="col">From</th>
            ${servers.map((mode) => html`<th scope="col">to ${MODE_WORDS[mode]}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rowsOf(grid, servers, views)}
        </tbody>
      </table>
    </div>
    <p class="note">
      ● encrypted, ○ readable, ◐ in part: a sign for each link from pod to pod, loopback left out.
      Hops are routers on the way, passes traversals of a namespace’s netfilter hooks.
    </p>
  </section>`;
}

function rowsOf(
  { cells }: GridResult,
  servers: readonly CellResult['server'][],
  views: readonly RequestView[],
): readonly Markup[] {
  const places = DISTANCES.flatMap((distance) => CALLED_BY.map((by) => [distance, by] as const));
  return MODES.flatMap((client) =>
    places.flatMap(([distance, by]) => {
      const own = cells.filter(
        (each) => each.client === client && each.distance === distance && each.calledBy === by,
      );
      if (own.length === 0) return [];
      const shown = servers.map((server) => own.find((each) => each.server === server));
      return html`<tr>
        <th scope="row">
          <strong>${MODE_WORDS[client]}</strong>
          <span class="source">${distance} node, by ${byWords(by)}</span>
        </th>
        ${shown.map((cell, at) => cellMarkup(cell, servers[at], views))}
      </tr>`;
    }),
  );
}

function cellMarkup(
  cell: CellResult | undefined,
  server: CellResult['server'] | undefined,
  views: readonly RequestView[],
): Markup {
  const label = server === undefined ? '' : `to ${MODE_WORDS[server]}`;
  if (cell === undefined) return html`<td data-label="${label}">–</td>`;
  const { facts, needs, differs = [], recorded, number } = cell;
  const view = views.find((each) => each.name === cell.name);
  const phrase = phraseOf(cell);
  return html`<td data-label="${label}">
    ${outcomeBadge(cell.outcome, false)}
    <strong
      >${view === undefined ? phrase : html`<a href="#${view.id}" aria-label="${phrase}: ladder of cell ${number}, ${cell.name}">${phrase}</a>`}</strong
    >
    ${
      facts &&
      html`<span class="source">
        <code>${linkStrip(facts)}</code> app saw ${sourceText(facts)}<br />
        ${counted(facts.legs.length, 'leg')} · ${counted(facts.hops, 'hop')} ·
        ${counted(facts.passes, 'pass', 'passes')}
        ${facts.encryption.tunnels.map(
          ({ from, to, clientIdentity, serverIdentity }) =>
            html`<br />${from} ⇄ ${to}<br /><code>${clientIdentity ?? 'no identity'}</code> ⇄
              <code>${serverIdentity ?? 'no identity'}</code>`,
        )}
      </span>`
    }
    ${needs !== undefined && html`<p class="why">Needs ${needs}</p>`}
    ${differs.map((text) => html`<p class="why">Other than recorded: ${text}</p>`)}
    <p class="why">${recorded}</p>
  </td>`;
}
