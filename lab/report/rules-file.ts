import type { Difference } from '../../dataplane/redirect/recognise/differences.ts';
import { ipArguments } from '../../dataplane/redirect/routing.ts';
import type { RoutingEntry } from '../../dataplane/redirect/rule.ts';
import type { Recognition } from '../../dataplane/redirect/recognise/recognise.ts';
import type { WalkStep } from '../../dataplane/redirect/walk.ts';
import type { FileReading, RulesFileReading } from '../run/read-rules-file.ts';
import { renderWalks } from './walk.ts';
import { wrapText } from './wrap.ts';

export interface RulesFileTextOptions {
  readonly width: number;
}

/** Others with more chains than this are counted, not listed. */
const LISTED_OTHERS = 6;

/** What the rules of a file are, what is wrong in them, and the walk through them. */
export function renderRulesFile(reading: FileReading, options: RulesFileTextOptions): string {
  const { file, families } = reading;
  return families.map((family) => renderFamily(file, family, options)).join('\n\n');
}

function renderFamily(
  file: string,
  reading: RulesFileReading,
  options: RulesFileTextOptions,
): string {
  const { recognition } = reading;
  const { candidate } = recognition;
  return [
    `${file}, ${recognition.family === 'ipv4' ? 'IPv4' : 'IPv6'}: ${titleOf(reading)}`,
    ...recognition.options.map(({ name, value }) => `  ${name}: ${value}`),
    ...recognition.deviations.map(
      ({ parameter, value }) => `  ${parameter.name}: ${value} (Istio: ${parameter.token})`,
    ),
    ...renderOthers(reading),
    '',
    ...renderDifferences(recognition, options),
    '',
    ...renderWalks(reading.walks, { ...options, noteOf: noteFrom(recognition.differences) }),
    ...renderRoutes(candidate?.routing ?? [], options),
  ]
    .join('\n')
    .trimEnd();
}

/** What belongs to the rules and no listing of rules shows. */
export function renderRoutes(
  routing: readonly RoutingEntry[],
  { width }: RulesFileTextOptions,
): readonly string[] {
  if (routing.length === 0) return [];
  return [
    'With these rules go, and no listing of rules shows them:',
    ...routing.flatMap((entry) => [
      `  ip ${ipArguments(entry, 'add').join(' ')}`,
      wrapText(`why: ${entry.why}`, 6, width, 11),
    ]),
  ];
}

function titleOf({ recognition }: RulesFileReading): string {
  const { candidate, kind } = recognition;
  if (candidate !== undefined) return `${candidate.title} (Istio ${candidate.releases})`;
  return kind === 'none'
    ? 'no redirect of Istio'
    : 'chains named as Istio names its own, of no era known here';
}

function renderOthers({ recognition }: RulesFileReading): readonly string[] {
  const { others } = recognition;
  if (others.length === 0) return [];
  const count = others.reduce((sum, { rules }) => sum + rules, 0);
  const listed = others
    .slice(0, LISTED_OTHERS)
    .map(({ table, chain, rules }) => `${table} ${chain} ${rules}`)
    .join(', ');
  const more = others.length > LISTED_OTHERS ? ', …' : '';
  return [`  rules of others: ${count} in ${others.length} chains (${listed}${more})`];
}

/** What differs, one block a difference. */
export function renderDifferences(
  { differences, deviations, kind }: Pick<Recognition, 'differences' | 'deviations' | 'kind'>,
  { width }: RulesFileTextOptions,
): readonly string[] {
  if (kind !== 'known') return ['Nothing to compare it with.'];
  if (differences.length + deviations.length === 0) {
    return ['As Istio writes it: every rule is there, in order, and none too many.'];
  }
  const count = differences.length + deviations.length;
  return [
    `DIFFERS from what Istio writes, in ${count} ${count === 1 ? 'place' : 'places'}:`,
    ...deviations.map(({ parameter, value }) =>
      wrapText(
        `value       ${parameter.name} is ${value} throughout, Istio has ${parameter.token}`,
        2,
        width,
        14,
      ),
    ),
    ...differences.flatMap((difference) => renderDifference(difference, width)),
  ];
}

function renderDifference(difference: Difference, width: number): readonly string[] {
  const { kind, table, text, line, wished, why } = difference;
  const place = line === undefined ? '' : `line ${line}: `;
  return [
    wrapText(`${kind.padEnd(11)} ${place}${table} ${text}`, 2, width, 14),
    ...(wished === undefined ? [] : [wrapText(`wished: ${wished}`, 14, width, 22)]),
    ...(why === undefined ? [] : [wrapText(`why: ${why}`, 14, width, 19)]),
  ];
}

/** A note at the rules of a walk that differ, by their lines. */
export function noteFrom(
  differences: readonly Difference[],
): (step: WalkStep) => string | undefined {
  const byLine = new Map(
    differences.flatMap((difference) =>
      difference.line === undefined ? [] : [[difference.line, difference] as const],
    ),
  );
  return ({ kind, line }) => {
    const found = kind === 'rule' && line !== undefined ? byLine.get(line) : undefined;
    if (found === undefined) return undefined;
    return found.wished === undefined ? found.kind : `${found.kind}, wished: ${found.wished}`;
  };
}
