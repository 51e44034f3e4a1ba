import { CALLED_BY, type Cell, DISTANCES, type Mode, MODE_WORDS, MODES } from '../../grid/cells.ts';
import type { CellResult, GridResult } from '../../grid/grid-result.ts';
import { byWords, linkStrip, phraseOf, sourceText, totalsOf } from '../grid-words.ts';
import { counted } from '../text.ts';
import type { RequestView } from './ladder-section.ts';
import { html, type Markup } from './markup.ts';
import { framedTable } from './table.ts';
import { outcomeBadge } from './words.ts';

/** The grid as a table: a row a client and place, a column a server; each cell opens its ladder. */
export function gridSection(grid: GridResult, views: readonly RequestView[]): Markup {
  const servers = MODES.filter((mode) => grid.cells.some(({ server }) => server === mode));
  return html`<section aria-labelledby="grid-title">
    <h2 id="grid-title">Who encrypts where</h2>
    <p>${totalsOf(grid)}</p>
    ${framedTable(
      {
        label: 'Grid',
        className: 'cards grid',
        columns: ['From', ...servers.map((mode) => `to ${MODE_WORDS[mode]}`)],
        rows: placesOf(grid),
        unit: 'rows',
      },
      (place) => rowOf(grid, place, servers, views),
    )}
    <p class="note">
      ● encrypted, ○ readable, ◐ in part: a sign for each link from pod to pod, loopback left out.
      Hops are routers on the way, passes traversals of a namespace’s netfilter hooks.
    </p>
  </section>`;
}

/** What a row is about: who calls, from where, and by what. */
type Place = Pick<Cell, 'client' | 'distance' | 'calledBy'>;

function placesOf({ cells }: GridResult): readonly Place[] {
  const all = MODES.flatMap((client) =>
    DISTANCES.flatMap((distance) =>
      CALLED_BY.map((calledBy): Place => ({ client, distance, calledBy })),
    ),
  );
  return all.filter((place) => cells.some((cell) => isAt(cell, place)));
}

function isAt(cell: Cell, { client, distance, calledBy }: Place): boolean {
  return cell.client === client && cell.distance === distance && cell.calledBy === calledBy;
}

function rowOf(
  { cells }: GridResult,
  place: Place,
  servers: readonly Mode[],
  views: readonly RequestView[],
): Markup {
  const own = cells.filter((cell) => isAt(cell, place));
  return html`<tr>
    <th scope="row">
      <strong>${MODE_WORDS[place.client]}</strong>
      <span class="source">${place.distance} node, by ${byWords(place.calledBy)}</span>
    </th>
    ${servers.map((server) =>
      cellMarkup(
        own.find((each) => each.server === server),
        server,
        views,
      ),
    )}
  </tr>`;
}

function cellMarkup(
  cell: CellResult | undefined,
  server: Mode,
  views: readonly RequestView[],
): Markup {
  const label = `to ${MODE_WORDS[server]}`;
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
