import type { EraComparison, PlaceComparison } from '../compare/compare-eras.ts';
import type { Row } from '../compare/align-lines.ts';
import type { Leg, Path, RunFacts, Sighting } from '../facts/facts.ts';
import { sideBySide } from './columns-text.ts';
import { counted } from './text.ts';

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
    ...comparison.places.flatMap((place) => renderPlace(place, options)),
    ...renderPaths(comparison, width),
  ]
    .join('\n')
    .trimEnd();
}

function renderPlace(place: PlaceComparison, options: EraDiffOptions): readonly string[] {
  return [
    `── ${place.place} ${'─'.repeat(Math.max(0, options.width - place.place.length - 4))}`,
    ...place.sections.flatMap(({ name, rows }) => {
      const same = rows.filter(({ kind }) => kind === 'same').length;
      const differing = rows.length - same;
      const shown = options.all === true ? rows : rows.filter(({ kind }) => kind !== 'same');
      const summary =
        differing === 0
          ? `the same (${counted(same, 'line')})`
          : `${differing} of ${counted(rows.length, 'line')} differ`;
      return [
        `${name}: ${summary}`,
        ...shown.flatMap((row) =>
          sideBySide(row.left ?? '', SIGNS[row.kind], row.right ?? '', options.width),
        ),
      ];
    }),
    '',
  ];
}

function renderPaths({ facts }: EraComparison, width: number): readonly string[] {
  const title = 'the way of one request';
  const [left, right] = facts.map(linesOfFacts) as [readonly string[], readonly string[]];
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, index) =>
    sideBySide(left[index] ?? '', ' ', right[index] ?? '', width),
  );
  return [`── ${title} ${'─'.repeat(Math.max(0, width - title.length - 4))}`, ...rows.flat()];
}

function linesOfFacts(facts: RunFacts): readonly string[] {
  return facts.paths.flatMap((path) => linesOfPath(path, facts));
}

function linesOfPath(path: Path, facts: RunFacts): readonly string[] {
  const { outcome, status, from, to } = path.request;
  const { length } = path.legs;
  return [
    `${from} → ${to}: ${status ?? outcome}, ${counted(length, 'leg')}, ${counted(path.hops, 'hop')}`,
    ...path.legs.flatMap((leg) => linesOfLeg(leg, facts)),
    ...path.missing.map((what) => `could not be joined: ${what}`),
  ];
}

function linesOfLeg(leg: Leg, facts: RunFacts): readonly string[] {
  const { number, from, to, encapsulation, hbone } = leg;
  const wanted = leg.wanted === undefined ? '' : `, wanted ${leg.wanted}`;
  const connection = facts.connections[leg.connection];
  const who = hbone?.serverIdentity === undefined ? [] : [`  to ${hbone.serverIdentity}`];
  return [
    `${number} ${from.name} → ${to.name} ${encapsulation} ${from.address} → ${to.address}${wanted}`,
    ...who,
    ...(connection?.sightings ?? []).map(lineOfSighting),
  ];
}

function lineOfSighting(sighting: Sighting): string {
  const { netns, interface: link, direction, ttl, marks, replyMarks, server } = sighting;
  const said = [markText('mark', marks), markText('reply', replyMarks)].filter((t) => t !== '');
  return [`  ${netns}/${link} ${direction} ttl ${ttl} to ${server}`, ...said].join(' ');
}

function markText(name: string, marks: readonly number[]): string {
  return marks.length === 0 ? '' : `${name} ${marks.map((m) => `0x${m.toString(16)}`).join(' ')}`;
}
