import { createHash } from 'node:crypto';
import type { PageAssets } from './assets.ts';
import { benchSection } from './bench-section.ts';
import { chooseRequests } from './choose-requests.ts';
import { gridSection } from './grid-section.ts';
import { icons } from './icons.ts';
import { ladderSection } from './ladder-section.ts';
import { modelMap } from './map-model.ts';
import { html, jsonMarkup, type Markup, trusted } from './markup.ts';
import { ViewPack } from './pack-views.ts';
import type { PageData } from './page-data.ts';
import { replaySteps } from './replay-steps.ts';
import type { HtmlReport, WorldReport } from './report-input.ts';
import {
  aboutSection,
  capturesSection,
  claimsSection,
  comparisonSection,
  problemsSection,
  rulesSection,
  verdictSection,
} from './sections.ts';
import { renderStage } from './stage.ts';
import { outcomeBadge } from './words.ts';

/** Characters of JSON that headers of frames may take, about. */
const VIEWS_LIMIT = 700_000;

const NOTHING: PageData = { requests: [], layers: [], hops: {}, maps: {} };

interface WorldPart {
  readonly before: Markup;
  readonly after: Markup;
  readonly data: PageData;
}

/**
 * The whole report as one HTML page that asks nobody for anything: styles, script and data are in
 * it, and its policy lets no other script run.
 */
export function renderPage(report: HtmlReport, { style, script }: PageAssets): string {
  const world = report.world && renderWorld(report.world, report);
  const policy = `default-src 'none'; style-src '${hashOf(style)}'; script-src '${hashOf(script)}'; base-uri 'none'; form-action 'none'`;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>${report.title} – ambient-lab ${report.verb}</title>
        ${trusted(`<style>${style}</style>`)}
      </head>
      <body>
        ${icons()}
        <a class="skip" href="#main">Skip to the report</a>
        <header class="top">
          <p class="product">ambient-lab ${report.verb}</p>
          <h1>${report.title}</h1>
          ${report.outcome && html`<p class="overall">${outcomeBadge(report.outcome)}</p>`}
          <button type="button" id="theme" aria-label="Colours: as the system has them">
            Colours: auto
          </button>
        </header>
        <main id="main" tabindex="-1">
          ${world?.before} ${report.claims && claimsSection(report.claims)}
          ${report.comparison && comparisonSection(report.comparison)}
          ${report.bench && benchSection(report.bench)}
          ${report.rules && rulesSection(report.rules)} ${world?.after}
          ${aboutSection(report.about)}
        </main>
        <noscript
          ><p class="note">
            Without scripts there is no replay, and hops open without their headers.
          </p></noscript
        >
        <script type="application/json" id="page-data">
          ${jsonMarkup(world?.data ?? NOTHING)}
        </script>
        ${trusted(`<script>${script}</script>`)}
      </body>
    </html> `;
  return page.text;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function renderWorld(world: WorldReport, report: HtmlReport): WorldPart {
  const { facts, plan, scenarios, views } = world;
  const { shown, leftOut } = chooseRequests(facts, scenarios);
  const requests = shown.map(({ id, name, path }) => ({
    id,
    name,
    steps: replaySteps(facts, path, id),
  }));
  const pack = new ViewPack(VIEWS_LIMIT);
  for (const { id, path } of shown) {
    const found = views?.of(path);
    if (found === undefined) continue;
    const fileOf = (connection: number, index: number): string =>
      facts.connections[connection]?.sightings[index]?.file ?? '';
    pack.add(id, path, found, (leg, index) => fileOf(leg.connection, index));
  }
  const stage = renderStage(modelMap(plan, facts), requests);
  const context = { facts, withRules: new Set(report.rules?.map(({ netns }) => netns)) };
  const notes = [
    ...(leftOut > 0 ? [`${leftOut} more requests have no ladder here: see facts.json.`] : []),
    ...(pack.thinned > 0
      ? [`Of ${pack.thinned} hops not all headers are here: open their capture files.`]
      : []),
    ...(views?.missing === undefined ? [] : [`Hops open without headers: ${views.missing}.`]),
  ];
  return {
    before: html`${problemsSection(facts)}
      ${report.grid ? gridSection(report.grid, shown) : verdictSection(world, shown)}
      <div class="workbench">
        ${stage.markup}
        <section class="requests" aria-labelledby="requests-title">
          <h2 id="requests-title">${shown.length === 1 ? 'The request' : 'Requests'}</h2>
          ${notes.map((note) => html`<p class="note">${note}</p>`)}
          ${shown.map((view, index) => ladderSection(view, context, index === 0))}
        </section>
      </div>`,
    after: capturesSection(world),
    data: { requests, layers: pack.layers, hops: pack.hops, maps: stage.maps },
  };
}
