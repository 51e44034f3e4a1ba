import type { Path, RunFacts } from '../facts/facts.ts';
import type { Check, FrameRef, ScenarioVerdict } from '../judge/verdict.ts';
import { tunnelKindText } from './leg-words.ts';
import { columnWidths, renderLeg } from './ladder-leg.ts';
import { columns, counted, formatUs, spread, styled, wrap } from './text.ts';

export interface LadderOptions {
  readonly color: boolean;
  /** Columns to use; at least 80 are taken. */
  readonly width: number;
}

const WIDEST = 120;
const NARROWEST = 80;

/**
 * The ladder of a scenario as text: who talked to whom leg by leg, in which namespace and on which
 * interface, how it was wrapped, with hops, passes, marks and microseconds; then its verdicts with
 * the frames they rest on. Says the same with and without colour.
 */
export function renderLadder(
  facts: RunFacts,
  verdict: ScenarioVerdict,
  options: LadderOptions,
): string {
  const width = Math.min(WIDEST, Math.max(NARROWEST, options.width));
  const paths = verdict.paths.flatMap((index) => facts.paths[index] ?? []);
  const [shown, ...others] = paths;
  const lines = [
    renderTitle(verdict.name, shown, { ...options, width }),
    ...renderTunnels(facts, options),
    ...(shown === undefined ? [] : renderPath(facts, shown, { ...options, width })),
    ...(others.length === 0 ? [] : [renderOthers(others, shown, options)]),
    ...verdict.checks.flatMap((check) => renderCheck(check, { ...options, width })),
  ];
  return lines.join('\n');
}

function renderTitle(name: string, path: Path | undefined, options: LadderOptions): string {
  const parts =
    path === undefined
      ? ['no request']
      : [
          answerOf(path),
          counted(path.legs.length, 'leg'),
          counted(path.hops, 'hop'),
          counted(path.passes, 'pass', 'passes'),
          formatUs(path.durationUs),
        ];
  const right = parts.join(' · ');
  if (name.length + right.length + 2 <= options.width) {
    const line = spread(styled(name, 'bold', options), right, options.width);
    return line;
  }
  return `${styled(name, 'bold', options)}\n${spread('', right, options.width)}`;
}

/** Which devices carried the tunnels: the kernel's own, or the fall-back. */
function renderTunnels(facts: RunFacts, options: LadderOptions): readonly string[] {
  const text = tunnelKindText(facts);
  return text === undefined ? [] : [styled(`    ${text}`, 'dim', options)];
}

function answerOf({ request }: Path): string {
  if (request.status !== undefined) return String(request.status);
  return request.outcome === 'ok' ? 'answered' : request.outcome;
}

function renderPath(facts: RunFacts, path: Path, options: LadderOptions): readonly string[] {
  const widths = columnWidths(facts, path);
  const legs = path.legs.flatMap((_, index) => renderLeg(facts, path, index, widths, options));
  const failure =
    path.failure === undefined
      ? []
      : wrap(`    the proxy ended it: ${path.failure}`, options.width, '      ');
  const missing = path.missing.flatMap((text) => {
    const [first = '', ...rest] = wrap(`not joined: ${text}`, options.width - 4, '    ');
    return [` ${styled('?', 'yellow', options)}  ${first}`, ...rest];
  });
  return [...legs, ...failure, ...missing, ...renderEvidence(path, options)];
}

/** What the joins stand on, counted by kind. */
function renderEvidence(path: Path, options: LadderOptions): readonly string[] {
  if (path.joins.length === 0) return [];
  const counts = new Map<string, number>();
  for (const { evidence } of path.joins) counts.set(evidence, (counts.get(evidence) ?? 0) + 1);
  const shown = [...counts].map(
    ([evidence, count]) => `${count} × ${evidence.replaceAll('-', ' ')}`,
  );
  return [styled(`    joined by ${shown.join(', ')}`, 'dim', options)];
}

function renderOthers(
  others: readonly Path[],
  shown: Path | undefined,
  options: LadderOptions,
): string {
  const isAlike = (path: Path): boolean =>
    shown !== undefined &&
    answerOf(path) === answerOf(shown) &&
    path.legs.length === shown.legs.length;
  const unlike = others.filter((path) => !isAlike(path));
  const tail =
    unlike.length === 0 ? 'all like this one' : `${unlike.length} of them not like this one`;
  return styled(`    and ${counted(others.length, 'more request')}, ${tail}`, 'dim', options);
}

function renderCheck(check: Check, options: LadderOptions): readonly string[] {
  const frames = shownFrames(check.frames);
  const style =
    check.outcome === 'holds' ? 'green' : check.outcome === 'refuted' ? 'red' : 'yellow';
  const lines = wrap(textOf(check), options.width - 4, '    ');
  const last = lines.length === 1 ? `    ${lines[0]}` : (lines.at(-1) ?? '');
  const fits = columns(last) + columns(frames) + 2 <= options.width;
  const dim = styled(frames, 'dim', options);
  const [first = '', ...rest] = fits
    ? [...lines.slice(0, -1), spread(last, dim, options.width).slice(lines.length === 1 ? 4 : 0)]
    : [...lines, spread('', dim, options.width)];
  return [` ${styled(symbolOf(check), style, options)}  ${first}`, ...rest];
}

function symbolOf({ outcome }: Check): string {
  return outcome === 'holds' ? '✔' : outcome === 'refuted' ? '✘' : '?';
}

function textOf(check: Check): string {
  switch (check.outcome) {
    case 'holds':
      return check.text;
    case 'refuted':
      return `refuted: ${check.text}`;
    case 'could not run':
      return `could not run: ${check.text}`;
  }
}

/** `sleep.demo/lo #1–12 +2`: the first file's frames, and how many more files there are. */
function shownFrames(refs: readonly FrameRef[]): string {
  const shown = refs.slice(0, 1).map(({ file, frames }) => `${placeOf(file)} ${rangeOf(frames)}`);
  const more = refs.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` +${more}` : '');
}

function placeOf(file: string): string {
  return file
    .replace(/^.*\//, '')
    .replace(/\.pcapng$/, '')
    .replace('--', '/');
}

/** `#3`, `#3–10` when all between are meant too, else the first ones. */
function rangeOf(frames: readonly number[]): string {
  const first = frames[0] ?? 0;
  const last = frames.at(-1) ?? first;
  if (first === last) return `#${first}`;
  if (last - first === frames.length - 1) return `#${first}–${last}`;
  return `#${frames.slice(0, 3).join(' ')}${frames.length > 3 ? ' …' : ''}`;
}
