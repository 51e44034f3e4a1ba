import { CALLED_BY, type Cell, DISTANCES, MODE_WORDS, MODES } from '../grid/cells.ts';
import type { CellResult, GridResult } from '../grid/grid-result.ts';
import {
  byWords,
  linkStrip,
  phraseOf,
  sourceText,
  totalsOf,
  tunnelText,
  wrappingOf,
} from './grid-words.ts';
import { columns, counted, pad, runsOf, styled, type TextOptions, wrap } from './text.ts';

export interface GridTextOptions extends TextOptions {
  readonly width: number;
}

const MARKS = { holds: '✔', refuted: '✘', 'could not run': '?' } as const;
const STYLES = { holds: 'green', refuted: 'red', 'could not run': 'yellow' } as const;
/**
 * The grid for people: who encrypts in which pair at a glance, then a row for each cell with what
 * its packets say. Says the same with and without colour.
 */
export function renderGrid(grid: GridResult, options: GridTextOptions): string {
  return [
    ...renderPairs(grid, options),
    '',
    ...renderRows(grid, options),
    '',
    ...renderLegend(grid, options),
    '',
    ...wrap(totalsOf(grid), options.width, '  ').map((line) =>
      styled(line, STYLES[grid.outcome], options),
    ),
  ].join('\n');
}

/** Three by three: rows are clients, columns servers. */
function renderPairs(grid: GridResult, options: GridTextOptions): readonly string[] {
  const clients = MODES.filter((mode) => grid.cells.some(({ client }) => client === mode));
  const servers = MODES.filter((mode) => grid.cells.some(({ server }) => server === mode));
  const table = [
    ['', ...servers.map((mode) => `to ${MODE_WORDS[mode]}`)],
    ...clients.flatMap((client) => {
      const own = servers.map((server) => phrasesOf(grid, client, server));
      const height = Math.max(...own.map(({ length }) => length));
      return Array.from({ length: height }, (_, line) => [
        line === 0 ? `from ${MODE_WORDS[client]}` : '',
        ...own.map((phrases) => phrases[line] ?? ''),
      ]);
    }),
  ];
  const lines = inColumns(table, 3);
  if (lines.some((line) => columns(line) > options.width)) return listPairs(grid, options);
  const [head = '', ...rows] = lines;
  return [styled(head, 'dim', options), ...rows];
}

/** The same line by line, for a terminal that is too narrow for columns. */
function listPairs(grid: GridResult, options: GridTextOptions): readonly string[] {
  const pairs = MODES.flatMap((client) => MODES.map((server) => [client, server] as const));
  return pairs.flatMap(([client, server]) => {
    const phrases = phrasesOf(grid, client, server);
    if (phrases.length === 0) return [];
    const text = `${MODE_WORDS[client]} → ${MODE_WORDS[server]}: ${phrases.join('; ')}`;
    return wrap(text, options.width, '  ');
  });
}

function phrasesOf(grid: GridResult, client: string, server: string): readonly string[] {
  const cells = grid.cells.filter((each) => each.client === client && each.server === server);
  return groupsOf(cells, phraseOf).map(([phrase, own]) =>
    [...whenText(own, cells), phrase].join(': '),
  );
}

/** In which of a pair's cells it is so; nothing where it is so in all. */
function whenText(own: readonly Cell[], all: readonly Cell[]): readonly string[] {
  if (own.length === all.length) return [];
  const calledBy = CALLED_BY.filter((by) => isAllOf(own, all, (cell) => cell.calledBy === by));
  if (calledBy[0] !== undefined) return [`by ${byWords(calledBy[0])}`];
  const distance = DISTANCES.filter((each) => isAllOf(own, all, (cell) => cell.distance === each));
  if (distance[0] !== undefined) return [`on the ${distance[0]} node`];
  return [own.map((cell) => `${cell.distance} node by ${byWords(cell.calledBy)}`).join(', ')];
}

function isAllOf(
  own: readonly Cell[],
  all: readonly Cell[],
  isMeant: (cell: Cell) => boolean,
): boolean {
  const meant = all.filter(isMeant);
  return meant.length === own.length && own.every(isMeant);
}

/** Below this many columns a cell takes two lines. */
const WIDE = 112;
const HEAD = ['', '#', 'to', 'node', 'by', 'answer', 'links', 'encrypted'];
const HEAD_OF_REST = ['app saw', 'legs', 'hops', 'passes'];

function renderRows(grid: GridResult, options: GridTextOptions): readonly string[] {
  const isWide = options.width >= WIDE;
  const head = isWide ? [...HEAD, ...HEAD_OF_REST] : HEAD;
  const rows = grid.cells.map((cell) => [...firstCells(cell), ...(isWide ? restCells(cell) : [])]);
  const [first = '', ...lines] = inColumns([head, ...rows], 2);
  const clients = new Set<string>();
  const shown = grid.cells.flatMap((cell, index) => {
    const isNew = !clients.has(cell.client);
    clients.add(cell.client);
    const title = styled(`from ${MODE_WORDS[cell.client]}`, 'bold', options);
    const mark = styled(MARKS[cell.outcome], STYLES[cell.outcome], options);
    const line = (lines[index] ?? '').replace(MARKS[cell.outcome], mark);
    return [
      ...(isNew ? [title] : []),
      line,
      ...detailsOf(cell, isWide).flatMap((text) => below(text, options)),
    ];
  });
  return [styled(first, 'dim', options), ...shown];
}

function firstCells(cell: CellResult): readonly string[] {
  const { number, server, distance, calledBy, answer, facts, outcome } = cell;
  return [
    MARKS[outcome],
    String(number).padStart(2),
    MODE_WORDS[server],
    distance,
    byWords(calledBy),
    answer ?? '–',
    facts === undefined ? '' : linkStrip(facts),
    encryptedText(cell),
  ];
}

function encryptedText({ facts, answer }: CellResult): string {
  if (answer === undefined) return 'could not run';
  if (facts === undefined) return 'not known';
  const { extent } = facts.encryption;
  return extent === 'nowhere' ? 'nowhere' : `${wrappingOf(facts)}, ${extent}`;
}

function restCells({ facts }: CellResult): readonly string[] {
  if (facts === undefined) return ['', '', '', ''];
  const { legs, hops, passes } = facts;
  return [sourceText(facts), String(legs.length), String(hops), String(passes)];
}

/** What takes a line of its own: the ends of tunnels, what is missing, what is not as recorded. */
function detailsOf(cell: CellResult, isWide: boolean): readonly string[] {
  const { facts, needs, differs = [] } = cell;
  const counts =
    facts === undefined || isWide
      ? []
      : [
          `app saw ${sourceText(facts)} · ${counted(facts.legs.length, 'leg')} · ` +
            `${counted(facts.hops, 'hop')} · ${counted(facts.passes, 'pass', 'passes')}`,
        ];
  return [
    ...counts,
    ...(facts?.encryption.tunnels ?? []).map(tunnelText),
    ...differs.map((text) => `other than recorded: ${text}`),
    ...(needs === undefined ? [] : [`needs ${needs}`]),
  ];
}

function below(text: string, options: GridTextOptions): readonly string[] {
  const indent = ' '.repeat(7);
  const lines = wrap(text, options.width - indent.length, '  ');
  return lines.map((line) => styled(indent + line, 'dim', options));
}

function renderLegend({ cells }: GridResult, options: GridTextOptions): readonly string[] {
  const texts = [
    'links: ● encrypted  ○ readable  ? not known; one a link from pod to pod, without loopback; ◐ in part',
    'passes: traversals of a namespace’s netfilter hooks by the request; hops: routers on its way',
    '✔ as recorded of such a pair  ✘ other than that  ? could not run',
  ];
  const reasons = groupsOf(cells, ({ recorded }) => recorded).flatMap(([why, own]) =>
    wrap(`${runsOf(own.map(({ number }) => number)).join(', ')}: ${why}`, options.width, '  '),
  );
  const lines = [...texts.flatMap((text) => wrap(text, options.width, '  ')), '', ...reasons];
  return lines.map((line) => styled(line, 'dim', options));
}

/** What has one key together, in the order of the first of each. */
function groupsOf(
  cells: readonly CellResult[],
  keyOf: (cell: CellResult) => string,
): readonly (readonly [string, readonly CellResult[]])[] {
  const keys = [...new Set(cells.map(keyOf))];
  return keys.map((key) => [key, cells.filter((cell) => keyOf(cell) === key)] as const);
}

/** Rows as text, each column as wide as its widest cell; the last is not padded. */
function inColumns(table: readonly (readonly string[])[], gap: number): readonly string[] {
  const widths = (table[0] ?? []).map((_, at) =>
    Math.max(...table.map((row) => columns(row[at] ?? ''))),
  );
  return table.map((row) =>
    row
      .map((cell, at) => pad(cell, widths[at] ?? 0))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}
