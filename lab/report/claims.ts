import type { ClaimResult } from '../claims/run-claims.ts';
import { shortRef } from '../judge/evidence.ts';
import { escapeXml } from './junit.ts';
import { pad, styled, type TextOptions, wrap } from './text.ts';

export interface ClaimsTextOptions extends TextOptions {
  readonly width: number;
}

const MARKS = { holds: '✔', refuted: '✘', 'could not run': '?' } as const;
const STYLES = { holds: 'green', refuted: 'red', 'could not run': 'yellow' } as const;
const MAX_EVIDENCE = 3;

/** The results as a table for people: a line a claim, then what was seen and what it stands on. */
export function renderClaims(results: readonly ClaimResult[], options: ClaimsTextOptions): string {
  const eras = [...new Set(results.map(({ era }) => era))];
  const tables = eras.map((era) => {
    const own = results.filter((result) => result.era === era);
    const lines = own.flatMap((result) => renderOne(result, options));
    return [styled(`era ${era}`, 'bold', options), ...lines].join('\n');
  });
  return [...tables, renderTotals(results)].join('\n\n');
}

function renderOne(result: ClaimResult, options: ClaimsTextOptions): readonly string[] {
  const mark = styled(MARKS[result.outcome], STYLES[result.outcome], options);
  const head = `${mark} ${pad(result.id, 13)}${pad(result.outcome, 14)} `;
  const indent = ' '.repeat(30);
  const about = wrap(result.statement, options.width - 30, '');
  const seen = wrap(`→ ${result.text}`, options.width, indent).map((line, index) =>
    index === 0 ? indent + line : line,
  );
  const frames = result.frames.slice(0, MAX_EVIDENCE).map(shortRef).join(', ');
  const rest = result.evidence.slice(0, MAX_EVIDENCE).map((line) => `${indent}  ${line}`);
  return [
    ...about.map((line, index) => (index === 0 ? head + line : indent + line)),
    ...seen,
    ...(frames === '' ? [] : [styled(`${indent}  ${frames}`, 'dim', options)]),
    ...rest.map((line) => styled(line, 'dim', options)),
    ...expectationOf(result).map((line) => indent + line),
  ];
}

function expectationOf(result: ClaimResult): readonly string[] {
  if (!result.asExpected) return [`DIFFERS from what is recorded: ${result.expected}`];
  return result.because === undefined ? [] : [`as expected: ${result.because}`];
}

function renderTotals(results: readonly ClaimResult[]): string {
  const count = (outcome: ClaimResult['outcome']): number =>
    results.filter((result) => result.outcome === outcome).length;
  const differing = results.filter(({ asExpected }) => !asExpected).map(({ id }) => id);
  const ending =
    differing.length === 0 ? 'each as recorded' : `other than recorded: ${differing.join(', ')}`;
  return (
    `${results.length} claims: ${count('holds')} hold, ${count('refuted')} refuted, ` +
    `${count('could not run')} could not run; ${ending}`
  );
}

/** The results as a Markdown table, one row a claim and era. */
export function renderClaimsMarkdown(results: readonly ClaimResult[]): string {
  const rows = results.map((result) => {
    const frames = result.frames.slice(0, MAX_EVIDENCE).map(shortRef).join(', ');
    const cells = [result.id, result.era, result.statement, result.outcome, result.text, frames];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  const head = ['| id | era | claim | outcome | seen | frames |', '|---|---|---|---|---|---|'];
  return [...head, ...rows, '', renderTotals(results), ''].join('\n');
}

/**
 * The results as JUnit XML: a suite an era, a case a claim. A failure is an outcome other than the
 * recorded one; a claim that could not run is skipped, so that no reader counts it as passed.
 */
export function renderClaimsJunit(results: readonly ClaimResult[]): string {
  const suites = [...new Set(results.map(({ era }) => era))].map((era) => {
    const own = results.filter((result) => result.era === era);
    const cases = own.map(renderCase);
    return `  <testsuite name="${era}" ${countsOf(own)}>\n${cases.join('\n')}\n  </testsuite>`;
  });
  const head = `<testsuites name="claims" ${countsOf(results)}>`;
  return ['<?xml version="1.0" encoding="UTF-8"?>', head, ...suites, '</testsuites>', ''].join(
    '\n',
  );
}

function renderCase(result: ClaimResult): string {
  const { id, era, outcome, expected, statement, text } = result;
  const open = `    <testcase classname="${era}" name="${escapeXml(`${id} ${statement}`)}"`;
  const seen = escapeXml(`${outcome}: ${text}`);
  if (!result.asExpected) {
    const body = escapeXml(result.evidence.join('\n'));
    return `${open}>\n      <failure message="${seen}, ${expected} is recorded">${body}</failure>\n    </testcase>`;
  }
  if (outcome === 'could not run')
    return `${open}>\n      <skipped message="${seen}"/>\n    </testcase>`;
  return `${open}>\n      <system-out>${seen}</system-out>\n    </testcase>`;
}

function countsOf(results: readonly ClaimResult[]): string {
  const failures = results.filter(({ asExpected }) => !asExpected).length;
  const skipped = results.filter(
    ({ outcome, asExpected }) => asExpected && outcome === 'could not run',
  ).length;
  return `tests="${results.length}" failures="${failures}" errors="0" skipped="${skipped}"`;
}
