import type { EraComparison, PlaceComparison } from '../compare/compare-eras.ts';
import type { Row } from '../compare/align-lines.ts';
import type { Leg, Path, RunFacts, Sighting } from '../facts/facts.ts';
import { sideBySide } from './columns-text.ts';
import { tunnelTexts } from './leg-words.ts';
import { counted } from './text.ts';
import { wrapText } from './wrap.ts';

export interface EraDiffOptions {
  readonly width: number;
  /** Lines that both have are listed too, not counted. */
  readonly all?: boolean;
}

const SIGNS: Readonly<Record<Row['kind'], string>> = {
  same: '=',
  changed: '|',
  left: '<',
  right: '>',
};

/** Two eras side by side: what each kernel has, place by place, and the way of one request. */
export function renderEraDiff(comparison: EraComparison, options: EraDiffOptions): string {
  const { width } = options;
  const [left, right] = comparison.eras;
  return [
    ...sideBySide(`era ${left}`, ' ', `era ${right}`, width),
    '',
    ...comparison.places.flatMap((place) => renderPlace(place, comparison.eras, options)),
    ...renderPaths(comparison, width),
  ]
    .join('\n')
    .trimEnd();
}

function renderPlace(
  place: PlaceComparison,
  eras: EraComparison['eras'],
  options: EraDiffOptions,
): readonly string[] {
  return [
    heading(place.place, options.width),
    ...place.sections.flatMap(({ name, rows }) => renderSection(name, rows, eras, options)),
    '',
  ];
}

function heading(text: string, width: number): string {
  return `── ${text} ${'─'.repeat(Math.max(0, width - text.length - 4))}`;
}

function renderSection(
  name: string,
  rows: readonly Row[],
  eras: EraComparison['eras'],
  { width, all }: EraDiffOptions,
): readonly string[] {
  const count = (kind: Row['kind']): number => rows.filter((row) => row.kind === kind).length;
  const same = count('same');
  if (rows.length === same) {
    const what = same === 0 ? 'none in either' : `the same (${counted(same, 'line')})`;
    const listed =
      all === true ? rows.map(({ left }) => wrapText(`= ${left ?? ''}`, 2, width, 4)) : [];
    return [`${name}: ${what}`, ...listed];
  }
  const shown = all === true ? rows : rows.filter(({ kind }) => kind !== 'same');
  const only = { left: eras[0], right: eras[1] } as const;
  const alone = (['left', 'right'] as const).find((side) => count(side) === shown.length);
  // Nothing to stand beside it: the whole width is better to read.
  if (alone !== undefined) {
    const rest = same === 0 ? '' : `, ${same} the same`;
    return [
      `${name}: ${counted(count(alone), 'line')} only in ${only[alone]}${rest}`,
      ...shown.map((row) => wrapText(`${SIGNS[alone]} ${row[alone] ?? ''}`, 2, width, 6)),
    ];
  }
  const parts = [
    [count('changed'), 'changed'],
    [count('left'), `only in ${only.left}`],
    [count('right'), `only in ${only.right}`],
    [same, 'the same'],
  ] as const;
  const summary = parts
    .filter(([number]) => number > 0)
    .map(([number, what]) => `${number} ${what}`);
  return [
    `${name}: ${summary.join(', ')}`,
    ...shown.flatMap((row) => sideBySide(row.left ?? '', SIGNS[row.kind], row.right ?? '', width)),
  ];
}

/** Both ways leg by leg: the same leg begins on the same line, as far as there is one. */
function renderPaths({ facts }: EraComparison, width: number): readonly string[] {
  const [left, right] = facts.map(partsOfFacts) as [readonly Part[], readonly Part[]];
  const parts = Array.from({ length: Math.max(left.length, right.length) }, (_, part) => {
    const [a = [], b = []] = [left[part], right[part]];
    return Array.from({ length: Math.max(a.length, b.length) }, (__, line) =>
      sideBySide(a[line] ?? '', ' ', b[line] ?? '', width),
    );
  });
  return [heading('the way of one request', width), ...parts.flat(2)];
}

/** Lines that belong together: the request, a leg. */
type Part = readonly string[];

function partsOfFacts(facts: RunFacts): readonly Part[] {
  return facts.paths.flatMap((path) => partsOfPath(path, facts));
}

function partsOfPath(path: Path, facts: RunFacts): readonly Part[] {
  const { outcome, status, from, to } = path.request;
  const { length } = path.legs;
  const said = `${status ?? outcome}, ${counted(length, 'leg')}, ${counted(path.hops, 'hop')}`;
  return [
    [`${from} → ${to}: ${said}`],
    ...path.legs.map((leg) => linesOfLeg(leg, facts)),
    ...path.missing.map((what) => [`could not be joined: ${what}`]),
  ];
}

function linesOfLeg(leg: Leg, facts: RunFacts): readonly string[] {
  const { number, from, to, encapsulation } = leg;
  const identity = (leg.hbone ?? leg.mtls)?.serverIdentity;
  const wanted = leg.wanted === undefined ? '' : `, wanted ${leg.wanted}`;
  const connection = facts.connections[leg.connection];
  const who = identity === undefined ? [] : [`  to ${identity}`];
  return [
    `${number} ${from.name} → ${to.name} ${encapsulation} ${from.address} → ${to.address}${wanted}`,
    ...who,
    ...(connection?.sightings ?? []).flatMap(linesOfSighting),
  ];
}

function linesOfSighting(sighting: Sighting): readonly string[] {
  const { netns, interface: link, direction, ttl, marks, replyMarks, server } = sighting;
  const said = [markText('mark', marks), markText('reply', replyMarks)].filter((t) => t !== '');
  return [
    [`  ${netns}/${link} ${direction} ttl ${ttl} to ${server}`, ...said].join(' '),
    ...tunnelTexts(sighting).map((text) => `    ${text}`),
  ];
}

function markText(name: string, marks: readonly number[]): string {
  return marks.length === 0 ? '' : `${name} ${marks.map((m) => `0x${m.toString(16)}`).join(' ')}`;
}
