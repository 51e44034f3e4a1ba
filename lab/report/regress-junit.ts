import type { Change } from '../regress/compare.ts';
import type {
  CaptureResult,
  CellResult,
  RegressResult,
  ScenarioResult,
} from '../regress/results.ts';
import { escapeXml } from './junit.ts';

/**
 * A suite for each topology and era, a case for each scenario. What differs, is new or vanished is a
 * failure; what could not run and what an era refuses is skipped, so that no reader counts it as passed.
 */
export function renderRegressJunit({ cells, stray, isUpdate }: RegressResult): string {
  const suites = cells.map((cell) => suiteOf(cell, isUpdate));
  const lost = isUpdate ? [] : stray.map((file) => failureCase('baselines', file, STRAY, ''));
  const all = [...suites.flatMap(({ cases }) => cases), ...lost];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="regress" ${countsOf(all)}>`,
    ...suites.flatMap(({ name, seconds, cases }) => renderSuite(name, seconds, cases)),
    ...(lost.length === 0 ? [] : renderSuite('baselines', 0, lost)),
    '</testsuites>',
    '',
  ].join('\n');
}

/** The same of a capture: one suite, a case for each conversation. */
export function renderCaptureJunit(result: CaptureResult): string {
  const { capture, blocks, isUpdate, reason } = result;
  const cases =
    blocks.length > 0
      ? blocks.map((block) => caseOf(capture, block, isUpdate))
      : [skippedCase(capture, 'capture', reason ?? result.state)];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="regress" ${countsOf(cases)}>`,
    ...renderSuite(capture, 0, cases),
    '</testsuites>',
    '',
  ].join('\n');
}

const STRAY = 'no topology and era belongs to this baseline';

interface Case {
  readonly kind: 'pass' | 'failure' | 'skipped';
  readonly xml: string;
}

function suiteOf(cell: CellResult, isUpdate: boolean) {
  const name = `${cell.topology} ${cell.era}`;
  const cases =
    cell.scenarios.length > 0
      ? cell.scenarios.map((scenario) => caseOf(name, scenario, isUpdate))
      : [caseOfCell(name, cell)];
  return { name, seconds: cell.durationMs / 1000, cases };
}

/** Of a cell without scenarios: it was refused, or could not be built. */
function caseOfCell(suite: string, { state, reason = '', hasBaseline }: CellResult): Case {
  const text = reason || (hasBaseline ? state : 'there is no baseline');
  return state === 'differs'
    ? failureCase(suite, 'build', text, text)
    : skippedCase(suite, 'build', text);
}

function caseOf(suite: string, scenario: ScenarioResult, isUpdate: boolean): Case {
  const { name, state, changes, needs } = scenario;
  if (state === 'could not run') return skippedCase(suite, name, `needs ${needs ?? 'evidence'}`);
  if (state === 'same' || isUpdate) return { kind: 'pass', xml: `${opening(suite, name)}/>` };
  const message = state === 'differs' ? `${changes.length} facts differ` : state;
  return failureCase(suite, name, message, changes.map(changeText).join('\n'));
}

function changeText({ key, kind, was, is, frames }: Change): string {
  const [first] = frames;
  const where = first === undefined ? '' : ` (${first.file} ${first.frames.join(' ')})`;
  return `${key} ${kind}: was ${was ?? 'not there'}, is ${is ?? 'not there'}${where}`;
}

function opening(suite: string, name: string): string {
  return `    <testcase classname="${escapeXml(suite)}" name="${escapeXml(name)}"`;
}

function failureCase(suite: string, name: string, message: string, text: string): Case {
  const failure = `<failure message="${escapeXml(message)}">${escapeXml(text)}</failure>`;
  const xml = `${opening(suite, name)}>\n      ${failure}\n    </testcase>`;
  return { kind: 'failure', xml };
}

function skippedCase(suite: string, name: string, text: string): Case {
  const xml = `${opening(suite, name)}>\n      <skipped message="${escapeXml(text)}"/>\n    </testcase>`;
  return { kind: 'skipped', xml };
}

function renderSuite(name: string, seconds: number, cases: readonly Case[]): readonly string[] {
  return [
    `  <testsuite name="${escapeXml(name)}" ${countsOf(cases)} time="${seconds.toFixed(3)}">`,
    ...cases.map(({ xml }) => xml),
    '  </testsuite>',
  ];
}

function countsOf(cases: readonly Case[]): string {
  const count = (wanted: Case['kind']): number =>
    cases.filter(({ kind }) => kind === wanted).length;
  return `tests="${cases.length}" failures="${count('failure')}" errors="0" skipped="${count('skipped')}"`;
}
