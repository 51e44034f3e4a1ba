import { html, type Markup } from './markup.ts';

/** Rows of one table on a page. */
export const MOST_ROWS = 1000;

export interface FramedTable<Row> {
  /** What it holds, for those who do not see it. */
  readonly label: string;
  readonly className?: string;
  /** Headings of its columns. */
  readonly columns: readonly (string | Markup)[];
  readonly rows: readonly Row[];
  /** What the rows are, in the note about those that are left out. */
  readonly unit: string;
}

/** A table that scrolls by itself, by keys too, with a bound on its rows. */
export function framedTable<Row>(
  { label, className, columns, rows, unit }: FramedTable<Row>,
  rowOf: (row: Row) => Markup,
): Markup {
  return html`<div class="table-frame" tabindex="0" role="group" aria-label="${label}, scrolls">
      <table ${className !== undefined && html`class="${className}"`}>
        <thead>
          <tr>
            ${columns.map((name) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.slice(0, MOST_ROWS).map(rowOf)}
        </tbody>
      </table>
    </div>
    ${leftOut(rows.length - MOST_ROWS, unit)}`;
}

/** A note about what a bound left out; none where it left out nothing. */
export function leftOut(count: number, what: string): Markup | undefined {
  return count > 0
    ? html`<p class="note">${count} more ${what} are left out of this page.</p>`
    : undefined;
}
