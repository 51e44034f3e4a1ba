import type { RunFacts } from '../../facts/facts.ts';
import type { Outcome, ScenarioVerdict } from '../../judge/verdict.ts';
import { WRAPPING_WORDS } from '../wrapping.ts';
import { formatUs } from '../text.ts';
import type { RequestView } from './ladder-section.ts';
import { html, type Markup } from './markup.ts';
import type {
  AboutLine,
  ClaimsReport,
  ComparisonReport,
  ComparisonRow,
  RulesReport,
  WorldReport,
} from './report-input.ts';
import { framedTable, leftOut, MOST_ROWS } from './table.ts';
import { frameList, outcomeBadge } from './words.ts';

const VERDICT_COLUMNS = [
  ...['Outcome', 'Scenario', 'Answer', 'Wrapped', 'Legs', 'Hops', 'Passes', 'Checks', 'Time'],
];

/** The table of scenarios, each with a way to its ladder. */
export function verdictSection(
  { facts, scenarios }: WorldReport,
  views: readonly RequestView[],
): Markup | undefined {
  if (scenarios.length === 0) return undefined;
  return html`<section aria-labelledby="verdicts-title">
    <h2 id="verdicts-title">Verdicts</h2>
    ${framedTable(
      {
        label: 'Verdicts',
        className: 'cards',
        columns: VERDICT_COLUMNS,
        rows: scenarios,
        unit: 'scenarios',
      },
      (scenario) => verdictRow(facts, scenario, views),
    )}
  </section>`;
}

function verdictRow(
  facts: RunFacts,
  scenario: ScenarioVerdict,
  views: readonly RequestView[],
): Markup {
  const path = facts.paths[scenario.paths[0] ?? -1];
  const view = views.find((each) => each.scenario === scenario);
  const held = scenario.checks.filter(({ outcome }) => outcome === 'holds').length;
  const wrapping = path?.legs.find(({ encapsulation }) => encapsulation !== 'plain')?.encapsulation;
  const cell = (name: string, value: Markup | string | number): Markup =>
    html`<td data-label="${name}">${value}</td>`;
  return html`<tr>
    ${cell('Outcome', outcomeBadge(scenario.outcome))}
    <th scope="row">
      ${view === undefined ? scenario.name : html`<a href="#${view.id}">${scenario.name}</a>`}
    </th>
    ${cell('Answer', String(path?.request.status ?? path?.request.outcome ?? 'no request'))}
    ${cell('Wrapped', path === undefined ? '' : WRAPPING_WORDS[wrapping ?? 'plain'])}
    ${cell('Legs', path?.legs.length ?? '')} ${cell('Hops', path?.hops ?? '')}
    ${cell('Passes', path?.passes ?? '')} ${cell('Checks', `${held}/${scenario.checks.length}`)}
    ${cell('Time', path === undefined ? '' : formatUs(path.durationUs))}
  </tr>`;
}

/** Claims and their results, a column an era. */
export function claimsSection({ eras, rows }: ClaimsReport): Markup {
  const columns = ['Claim', ...eras];
  return html`<section aria-labelledby="claims-title">
    <h2 id="claims-title">Claims</h2>
    <p>${claimTotals(rows.flatMap(({ results }) => results.map(({ outcome }) => outcome)))}</p>
    ${framedTable(
      { label: 'Claims', className: 'cards', columns, rows, unit: 'claims' },
      (row) =>
        html`<tr>
          <th scope="row" class="claim">
            <strong>${row.id}</strong> ${row.statement}
            ${row.source !== undefined && html`<span class="source">${row.source}</span>`}
          </th>
          ${eras.map((era) => claimCell(row, era))}
        </tr>`,
    )}
  </section>`;
}

function claimTotals(outcomes: readonly Outcome[]): Markup {
  const kinds: readonly Outcome[] = ['holds', 'refuted', 'could not run'];
  return html`${kinds.map((kind) => {
    const count = outcomes.filter((each) => each === kind).length;
    return html`<span class="total">${count} ${outcomeBadge(kind)}</span> `;
  })}`;
}

function claimCell(row: ClaimsReport['rows'][number], era: string): Markup {
  const result = row.results.find((each) => each.era === era);
  if (result === undefined) return html`<td data-label="${era}">–</td>`;
  return html`<td data-label="${era}">
    <details>
      <summary>${outcomeBadge(result.outcome)}</summary>
      <p class="evidence">${result.text}</p>
      ${result.needs !== undefined && html`<p>Needs: ${result.needs}</p>`}
      ${result.frames !== undefined && frameList(result.frames)}
    </details>
  </td>`;
}

const KINDS: Readonly<Record<ComparisonRow['kind'], readonly [sign: string, word: string]>> = {
  same: ['=', 'the same'],
  changed: ['≠', 'different'],
  left: ['−', 'only left'],
  right: ['+', 'only right'],
};

/** Two things side by side, section by section; what is the same can be hidden. */
export function comparisonSection({ left, right, sections }: ComparisonReport): Markup {
  return html`<section aria-labelledby="comparison-title" id="comparison">
    <h2 id="comparison-title">${left} and ${right}</h2>
    <p>
      <label class="switch"
        ><input type="checkbox" id="only-differences" /> show differences only</label
      >
    </p>
    ${sections.map((section) => comparisonTable(section, left, right))}
  </section>`;
}

function comparisonTable(
  { title, rows }: ComparisonReport['sections'][number],
  left: string,
  right: string,
): Markup {
  const columns = [html`<span class="hidden">difference</span>`, left, right];
  const differing = rows.filter(({ kind }) => kind !== 'same').length;
  return html`<details class="comparison" ${differing > 0 && html`open`}>
    <summary>
      <h3>${title}</h3>
      <span class="figures"
        >${differing === 0 ? 'no difference' : `${differing} of ${rows.length} differ`}</span
      >
    </summary>
    ${framedTable(
      { label: title, className: 'sides', columns, rows, unit: 'rows' },
      (row) =>
        html`<tr class="${row.kind}">
          <td>
            <span title="${KINDS[row.kind][1]}"
              ><span aria-hidden="true">${KINDS[row.kind][0]}</span
              ><span class="hidden">${KINDS[row.kind][1]}</span></span
            >
          </td>
          <td><code>${row.left ?? ''}</code></td>
          <td>
            <code>${row.right ?? ''}</code
            >${row.why !== undefined && html`<p class="why">${row.why}</p>`}
          </td>
        </tr>`,
    )}
  </details>`;
}

const RULE_COLUMNS = ['Hook', 'Table', 'Chain', 'Rule', 'Packets'];

/** Rules of each place as a packet meets them. */
export function rulesSection(rules: readonly RulesReport[]): Markup | undefined {
  if (rules.length === 0) return undefined;
  return html`<section aria-labelledby="rules-title">
    <h2 id="rules-title">Rules</h2>
    <p class="note">
      As the kernel had them after the last request, in the order in which a packet meets them.
    </p>
    ${rules.map(
      ({ netns, about, rows }) =>
        html`<details class="rules" id="rules-${netns}">
          <summary>
            <h3>${netns}</h3>
            <span class="figures">${about}</span>
          </summary>
          ${framedTable(
            { label: `Rules of ${netns}`, columns: RULE_COLUMNS, rows, unit: 'rules' },
            (row) =>
              html`<tr>
                <td>${row.hook}</td>
                <td>${row.table}</td>
                <td>${row.chain}</td>
                <td>
                  <code>${row.text}</code
                  >${row.why !== undefined && html`<p class="why">${row.why}</p>`}
                </td>
                <td>${row.packets ?? ''}</td>
              </tr>`,
          )}
        </details>`,
    )}
  </section>`;
}

/** What was run, where and with what. */
export function aboutSection(lines: readonly AboutLine[]): Markup {
  return html`<section aria-labelledby="about-title">
    <h2 id="about-title">This run</h2>
    <dl class="about">
      ${lines.map(
        ({ name, value }) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </section>`;
}

const FILE_COLUMNS = ['Interface', 'File', 'Frames', 'Lost'];

/** How somebody opens the packets that all of it rests on. */
export function capturesSection({ facts, capturesAt }: WorldReport): Markup {
  const at = capturesAt === '.' ? '' : `${capturesAt}/`;
  const { interfaces } = facts;
  return html`<section aria-labelledby="captures-title">
    <h2 id="captures-title">The packets themselves</h2>
    <p>Everything above was read from the capture files beside this page.</p>
    <ul class="commands">
      <li>
        <code>wireshark ${at}story.pcapng</code> every leg once, in order, named and decrypted
      </li>
      <li>
        <code>tshark -r ${at}story.pcapng -Y http2</code> the tunnels' HTTP/2, CONNECT included
      </li>
      <li>
        <code>tshark -r ${at}interfaces/&lt;file&gt; -Y "frame.number == 15" -V</code> one frame of
        a hop, with the file and number that the hop names
      </li>
    </ul>
    <details>
      <summary>${interfaces.length} capture files</summary>
      ${framedTable(
        { label: 'Capture files', columns: FILE_COLUMNS, rows: interfaces, unit: 'files' },
        ({ netns, name, file, frames, kernelDrops }) =>
          html`<tr>
            <th scope="row">${netns}/${name}</th>
            <td><code>${file}</code></td>
            <td>${frames}</td>
            <td>${kernelDrops}</td>
          </tr>`,
      )}
    </details>
  </section>`;
}

/** What makes the evidence incomplete, when anything does. */
export function problemsSection({ problems }: RunFacts): Markup | undefined {
  if (problems.length === 0) return undefined;
  return html`<section class="problems" aria-labelledby="problems-title">
    <h2 id="problems-title">What the evidence lacks</h2>
    <ul>
      ${problems.slice(0, MOST_ROWS).map(({ text, file }) => html`<li>${text}${file !== undefined && html` <code>${file}</code>`}</li>`)}
    </ul>
    ${leftOut(problems.length - MOST_ROWS, 'problems')}
  </section>`;
}
