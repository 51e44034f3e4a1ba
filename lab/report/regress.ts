import { relative } from 'node:path';
import { shortRef } from '../judge/evidence.ts';
import type { FrameRef } from '../judge/verdict.ts';
import { PART } from '../regress/baseline.ts';
import { type Change, parentOf } from '../regress/compare.ts';
import type { CellResult, RegressResult, ScenarioResult } from '../regress/results.ts';
import { counted, spread, styled, type TextOptions } from './text.ts';
import { wrapText } from './wrap.ts';

export interface RegressTextOptions extends TextOptions {
  readonly width: number;
  /** Paths are shown from here. */
  readonly from: string;
}

/** What differs, grouped by scenario; then one line a topology and era; then the sums. */
export function renderRegress(result: RegressResult, options: RegressTextOptions): string {
  const off = result.cells.filter(({ state }) => state === 'differs' || state === 'could not run');
  return [
    ...off.flatMap((cell) => [...renderCell(cell, options), '']),
    ...renderTable(result, options),
    '',
    ...renderNotes(result, options),
    renderSums(result),
  ].join('\n');
}

function renderCell(cell: CellResult, options: RegressTextOptions): readonly string[] {
  const title = styled(`${cell.topology}, era ${cell.era}`, 'bold', options);
  const where = cell.directory === undefined ? '' : relative(options.from, cell.directory) || '.';
  const reason = (cell.reason ?? '').split('\n').filter((line) => line !== '');
  const odd = cell.scenarios.filter(({ state }) => state !== 'same');
  return [
    spread(title, where === '' ? '' : `frames in ${where}`, options.width),
    ...(cell.hasBaseline
      ? []
      : [
          `  there is no baseline ${relative(options.from, cell.baselineFile)}: write it with --update`,
        ]),
    ...reason.flatMap((line) => wrapText(line.trim(), 2, options.width, 4).split('\n')),
    ...odd
      .filter(({ state }) => cell.hasBaseline || state === 'could not run')
      .flatMap((scenario) => renderScenario(scenario, options)),
  ];
}

/** Sign and word of what a scenario came to; the word alone tells it. */
export function renderScenario(
  scenario: ScenarioResult,
  options: RegressTextOptions,
): readonly string[] {
  const { name, state, changes, needs } = scenario;
  switch (state) {
    case 'same':
      return [` ✔ ${name}`];
    case 'could not run':
      return [
        `${styled(' ? ', 'yellow', options)}${name}: could not run, needs ${needs ?? 'evidence'}`,
      ];
    case 'new':
      return [`${styled(' ✘ ', 'red', options)}${name}: new, the baseline has it not`];
    case 'vanished':
      return [`${styled(' ✘ ', 'red', options)}${name}: vanished, only the baseline has it`];
    case 'differs':
      return [`${styled(' ✘ ', 'red', options)}${name}`, ...renderChanges(changes, options)];
  }
}

/**
 * One line a change, with the frames that show it: `~` another value, `+` new, `-` gone, `↕` in
 * another order. What belongs to a leg stands under the leg.
 */
export function renderChanges(
  changes: readonly Change[],
  options: RegressTextOptions,
): readonly string[] {
  let group = '';
  return changes.flatMap((change) => {
    const parent = parentOf(change.key);
    const head = parent === group || parent === '' ? [] : [`     ${parent}`];
    group = parent;
    return [...head, ...renderChange(change, parent, options)];
  });
}

function renderChange(
  { kind, key, was = '', is = '', frames }: Change,
  parent: string,
  options: RegressTextOptions,
): readonly string[] {
  const indent = parent === '' ? 5 : 7;
  const name = parent === '' ? key : key.slice(parent.length + PART.length);
  const value = { changed: `${was} → ${is}`, moved: `${was} → ${is}`, new: is, gone: was }[kind];
  const line = `${MARKS[kind]} ${name}: ${value}`;
  const where = framesText(frames);
  const room = options.width - where.length - 2;
  const lines = wrapText(line, indent, Math.max(room, 40), indent + 4).split('\n');
  return lines.map((text, index) => {
    const painted = styled(text, STYLE_OF[kind], options);
    return index === 0 ? spread(painted, styled(where, 'dim', options), options.width) : painted;
  });
}

const MARKS = { changed: '~', gone: '-', new: '+', moved: '↕' } as const;
const STYLE_OF = { changed: 'yellow', gone: 'red', new: 'green', moved: 'yellow' } as const;

function framesText(frames: readonly FrameRef[]): string {
  const [first, ...others] = frames;
  if (first === undefined) return '';
  const last = first.frames.at(-1);
  const range = last === undefined || last === first.frames[0] ? '' : `–${last}`;
  return `${shortRef(first)}${range}${others.length === 0 ? '' : ` +${others.length}`}`;
}

function renderTable(
  { cells, isUpdate }: RegressResult,
  options: RegressTextOptions,
): readonly string[] {
  const nameWidth = Math.max(...cells.map(({ topology }) => topology.length));
  return cells.map((cell) => {
    const { topology, era, state, durationMs } = cell;
    const sign = styled(SIGNS[state], STYLES[state], options);
    const text = isUpdate ? updateText(cell) : comparisonText(cell);
    const seconds = `${(durationMs / 1000).toFixed(1)} s`;
    const name = topology.padEnd(nameWidth);
    return ` ${sign} ${name}  ${era.padEnd(14)}  ${text.padEnd(44)} ${seconds.padStart(7)}`;
  });
}

function comparisonText({ state, scenarios }: CellResult): string {
  if (state === 'refused') return 'refused by the era, as recorded';
  const same = scenarios.filter((each) => each.state === 'same').length;
  const text = `${same} of ${scenarios.length} as the baseline`;
  return state === 'same' ? text : `${state}: ${text}`;
}

function updateText({ state, isWritten, scenarios }: CellResult): string {
  const what = state === 'refused' ? 'refused by the era' : counted(scenarios.length, 'block');
  const whole = state === 'could not run' ? ', not all could run' : '';
  return `${isWritten ? 'written' : 'unchanged'}: ${what}${whole}`;
}

const SIGNS: Readonly<Record<CellResult['state'], string>> = {
  same: '✔',
  differs: '✘',
  refused: '·',
  'could not run': '?',
};

const STYLES = {
  same: 'green',
  differs: 'red',
  refused: 'dim',
  'could not run': 'yellow',
} as const;

function renderNotes(result: RegressResult, { from }: RegressTextOptions): readonly string[] {
  const { withoutScenarios, stray, isUpdate, cells } = result;
  const scenarios = cells.flatMap((cell) =>
    cell.scenarios.map((scenario) => ({ where: `  ${cell.topology}, era ${cell.era}`, scenario })),
  );
  const refuting = scenarios
    .filter(({ scenario }) => scenario.refuted.length > 0)
    .map(({ where, scenario }) => `${where}: ${scenario.name}: ${scenario.refuted.join(', ')}`);
  const incomplete = scenarios
    .filter(({ scenario }) => scenario.incomplete !== undefined && scenario.needs === undefined)
    .map(({ where, scenario }) => `${where}: ${scenario.name}`);
  return [
    ...(withoutScenarios.length === 0
      ? []
      : [`No scenario, so nothing to compare: ${withoutScenarios.join(', ')}`]),
    ...stray.map((file) => {
      const shown = relative(from, file);
      return isUpdate
        ? `Removed ${shown}: no topology and era belongs to it`
        : `✘ ${shown} belongs to no topology and era any more`;
    }),
    ...titled('Expectations that the packets refute, as the baseline records:', refuting),
    ...titled(
      'Paths of which the evidence tells only a part, as the baseline records:',
      incomplete,
    ),
  ];
}

function titled(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines];
}

function renderSums({ cells, isUpdate }: RegressResult): string {
  const scenarios = cells.flatMap((cell) => cell.scenarios);
  const count = (state: ScenarioResult['state']): number =>
    scenarios.filter((each) => each.state === state).length;
  const refused = cells.filter(({ state }) => state === 'refused').length;
  const unbuilt = cells.filter(
    (cell) => cell.state === 'could not run' && cell.scenarios.length === 0,
  ).length;
  const written = cells.filter(({ isWritten }) => isWritten).length;
  const parts = [
    isUpdate
      ? `${counted(written, 'baseline')} written`
      : `${count('same')} of ${counted(scenarios.length, 'scenario')} as the baseline`,
    ...(['differs', 'new', 'vanished', 'could not run'] as const)
      .filter((state) => count(state) > 0)
      .map(
        (state) => `${count(state)} ${state === 'differs' && count(state) > 1 ? 'differ' : state}`,
      ),
    ...(refused === 0 ? [] : [`${refused} refused by their era`]),
    ...(unbuilt === 0 ? [] : [`${unbuilt} could not be built here`]),
  ];
  return parts.join(' · ');
}
