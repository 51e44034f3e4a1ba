import type { RunFacts } from '../facts/facts.ts';
import type { Check, RunVerdict, ScenarioVerdict } from '../judge/verdict.ts';

/**
 * The verdict as JUnit XML: a suite a scenario, a case a check. What was refuted is a failure, what
 * could not run is skipped with what it needs, so that no reader counts it as passed.
 */
export function renderJunit(verdict: RunVerdict, facts: RunFacts): string {
  const suites = verdict.scenarios.map((scenario) => renderSuite(scenario, facts));
  const checks = verdict.scenarios.flatMap((scenario) => casesOf(scenario));
  const head = `<testsuites name="${escapeXml(verdict.lab)}" ${countsOf(checks)}>`;
  return ['<?xml version="1.0" encoding="UTF-8"?>', head, ...suites, '</testsuites>', ''].join(
    '\n',
  );
}

function renderSuite(scenario: ScenarioVerdict, facts: RunFacts): string {
  const seconds = scenario.paths
    .map((index) => (facts.paths[index]?.durationUs ?? 0) / 1e6)
    .reduce((sum, each) => sum + each, 0);
  const cases = casesOf(scenario);
  return [
    `  <testsuite name="${escapeXml(scenario.name)}" ${countsOf(cases)} time="${seconds.toFixed(6)}">`,
    ...cases.map((check) => renderCase(scenario, check)),
    '  </testsuite>',
  ].join('\n');
}

/** A scenario that proved nothing is one skipped case, not an empty suite. */
function casesOf(scenario: ScenarioVerdict): readonly Check[] {
  if (scenario.checks.length > 0) return scenario.checks;
  const needs = 'an expectation';
  const text = 'nothing was expected';
  return [
    { name: 'expect', outcome: 'could not run', text, wanted: '', seen: '', needs, frames: [] },
  ];
}

function renderCase(scenario: ScenarioVerdict, check: Check): string {
  const open = `    <testcase classname="${escapeXml(scenario.name)}" name="${escapeXml(check.name)}"`;
  switch (check.outcome) {
    case 'holds':
      return `${open}/>`;
    case 'refuted':
      return (
        `${open}>\n      <failure message="${escapeXml(check.text)}">` +
        `wanted ${escapeXml(check.wanted)}, seen ${escapeXml(check.seen)}${framesText(check)}` +
        '</failure>\n    </testcase>'
      );
    case 'could not run':
      return `${open}>\n      <skipped message="${escapeXml(check.text)}"/>\n    </testcase>`;
  }
}

function framesText({ frames }: Check): string {
  const shown = frames.map((each) => `${each.file} ${each.frames.join(' ')}`).join('; ');
  return shown === '' ? '' : `; frames ${escapeXml(shown)}`;
}

function countsOf(checks: readonly Check[]): string {
  const failures = checks.filter(({ outcome }) => outcome === 'refuted').length;
  const skipped = checks.filter(({ outcome }) => outcome === 'could not run').length;
  return `tests="${checks.length}" failures="${failures}" errors="0" skipped="${skipped}"`;
}

/** XML 1.0 allows no control characters but tab, line feed and carriage return: others are dropped. */
export function escapeXml(text: string): string {
  return text
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
