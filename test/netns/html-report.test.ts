import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { compareModes } from '../../lab/bench/mesh/compare-modes.ts';
import { summarise } from '../../lab/bench/mesh/summarise.ts';
import { analyseRun } from '../../lab/facts/analyse-run.ts';
import type { RunFacts } from '../../lab/facts/facts.ts';
import type { RequestResult } from '../../lab/facts/request.ts';
import { cellsOf } from '../../lab/grid/cells.ts';
import { GRID_SCHEMA, type GridResult } from '../../lab/grid/grid-result.ts';
import { readCell } from '../../lab/grid/read-cell.ts';
import { judgeScenario } from '../../lab/judge/judge-scenario.ts';
import type { Plan } from '../../lab/plan/plan.ts';
import { writeBenchPage } from '../../lab/report/html/bench-page.ts';
import { writeRunPage } from '../../lab/report/html/write-page.ts';
import { exampleRun } from '../fixtures/bench/example-run.ts';
import { Browser, findBrowser, type Page } from './support/browser.ts';

const RUN = join(import.meta.dirname, '..', 'fixtures', 'runs', 'two-nodes');
const HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">';

const program = findBrowser();
const skip = program === undefined && 'needs a browser: Debian package chromium-headless-shell';

/** A page of the recorded run, one of whose names is an attack; `change` has another world drawn. */
async function makePage(
  change: (plan: Plan) => Plan = (plan) => plan,
  gridOf?: (facts: RunFacts) => GridResult,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ambient-lab-page-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(RUN, name), 'utf8'));
  const plan = (await read('plan.json')) as Plan;
  const recorded = (await read('requests.json')) as readonly RequestResult[];
  const requests = recorded.map((each, index) => (index === 0 ? { ...each, name: HOSTILE } : each));
  const facts = await analyseRun({ dir: RUN, plan, requests });
  const scenarios = [...new Set(requests.map(({ name }) => name))].map((name) =>
    judgeScenario(
      {
        name,
        before: [],
        request: { from: 'sleep', to: requests[0]!.to, count: 1 },
        expect: { status: 200 },
        line: 0,
      },
      facts,
    ),
  );
  const file = join(folder, 'index.html');
  const grid = gridOf?.(facts);
  const verb = grid === undefined ? 'run' : 'grid';
  const world = { directory: RUN, plan: change(plan), facts, scenarios };
  await writeRunPage(file, { verb, ...world, ...(grid && { grid }) });
  return file;
}

const currentHop = (page: Page): Promise<unknown> =>
  page.evaluate('document.querySelector(".hop[aria-current=step]")?.id ?? ""');
const focusPlayer = (page: Page): Promise<unknown> =>
  page.evaluate('document.getElementById("player").focus()');

t.test('writeRunPage() in a browser without network', { skip }, async (t) => {
  const file = await makePage();
  const url = `file://${file}`;
  await using browser = await Browser.start(program!);

  await t.test('asks for nothing, complains of nothing, runs nothing from its data', async (t) => {
    const page = await browser.open(url);
    t.same(page.requests, [url], 'only itself was loaded');
    t.same(page.complaints, [], 'the console is empty');
    t.equal(await page.evaluate('window.hacked'), undefined, 'no script of the data has run');
    const text = String(await page.evaluate('document.body.innerText'));
    t.ok(text.includes(HOSTILE), 'the hostile name is shown as it is');
    t.ok((await readFile(file)).length < 1_000_000, 'the page is below 1 MB');
    await page.evaluate('console.error("control"), fetch("http://10.0.0.1/").catch(() => 0)');
    t.ok(page.complaints.length > 0, 'control: a complaint would be seen');
  });

  await t.test('is walked by keyboard: arrows, Home, End, space', async (t) => {
    const page = await browser.open(url);
    await focusPlayer(page);
    const seen: unknown[] = [];
    for (let step = 0; step < 4; step++) {
      await page.press('ArrowRight');
      seen.push(await currentHop(page));
    }
    t.ok(new Set(seen).size > 1, 'the highlighted hop changes', { seen });
    t.match(await page.evaluate('document.getElementById("player-counter").textContent'), /^4 \//);
    t.ok(await page.evaluate('document.querySelectorAll("#map-wide .port.passed").length > 0'));
    await page.press('ArrowLeft');
    t.match(await page.evaluate('document.getElementById("player-counter").textContent'), /^3 \//);
    await page.press('Home');
    t.equal(await currentHop(page), '', 'no hop is highlighted before the request');
    await page.press('End');
    t.match(
      await page.evaluate('document.getElementById("player-counter").textContent'),
      /^(\d+) \/ \1$/,
    );
    await page.press(' ');
    const pressed = 'document.getElementById("player-play").getAttribute("aria-pressed")';
    t.equal(await page.evaluate(pressed), 'true', 'space plays');
    await page.press(' ');
    t.equal(await page.evaluate(pressed), 'false', 'space pauses');
  });

  await t.test('opens hops to their headers', async (t) => {
    const page = await browser.open(url);
    const opened = await page.evaluate(`(async () => {
      const hops = [...document.querySelectorAll('.leg.hbone .hop')];
      hops[0].querySelector('summary').focus();
      return [hops.length, hops[0].open, document.activeElement.tagName];
    })()`);
    t.same((opened as unknown[]).slice(1), [false, 'SUMMARY'], 'closed at first, and focusable');
    await page.press('Enter');
    const shown = await page.evaluate(`(async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const hop = document.querySelector('.leg.hbone .hop');
      return hop.open ? hop.querySelector('.passage').textContent : '';
    })()`);
    for (const word of ['Ethernet', 'IPv4', 'TTL', 'TCP', 'TLS record', ':method', 'CONNECT']) {
      t.ok(String(shown).includes(word), `${word} is there`);
    }
  });

  await t.test('fits phones, and has no text of low contrast in either colours', async (t) => {
    for (const width of [320, 360, 768, 1400]) {
      const page = await browser.open(url, { width });
      const overflow = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      t.equal(overflow, 0, `no horizontal scroll at ${width}`);
    }
    const shots = new Map<string, Buffer>();
    for (const colors of ['light', 'dark'] as const) {
      const page = await browser.open(url, { colors });
      shots.set(colors, await page.screenshot());
      t.same(await page.evaluate(LOW_CONTRAST), [], `contrast of ${colors} is AA`);
      const grey = colors === 'light' ? '#888b8f' : '#5a5f66';
      await page.evaluate(`document.querySelector("h1").style.color = "${grey}"`);
      t.not(((await page.evaluate(LOW_CONTRAST)) as unknown[]).length, 0, 'control: grey is found');
      const toggled = await page.evaluate(
        'document.getElementById("theme").click(), document.documentElement.dataset.theme',
      );
      t.equal(toggled, 'dark', 'the button changes the colours');
      await page.evaluate('localStorage.clear()');
    }
    t.notOk(shots.get('light')!.equals(shots.get('dark')!), 'light and dark differ');
  });

  await t.test(
    'shows a world of 100 pods legibly, and each step of a replay in sight',
    async (t) => {
      const crowded = `file://${await makePage(withManyPods)}`;
      for (const [width, map] of [
        [1400, 'map-wide'],
        [390, 'map-narrow'],
      ] as const) {
        const page = await browser.open(crowded, { width, isReducedMotion: true });
        t.ok(Number(await page.evaluate(smallestName(map))) >= 9, `names are legible at ${width}`);
        t.equal(await page.evaluate(countHouses(map)), 107, 'every pod is drawn');
        const steps = Number(await page.evaluate('document.getElementById("player-range").max'));
        t.ok(steps > 8);
        const unseen = (await page.evaluate(stepsOutOfSight(map))) as readonly number[];
        t.same(unseen, [], `no step of ${steps} is out of sight at ${width}`);
      }
    },
  );

  await t.test('has a grid whose cells open their ladders', async (t) => {
    const page = await browser.open(`file://${await makePage(undefined, gridOfTwo)}`);
    t.same(page.complaints, []);
    const cells = 'document.querySelectorAll(".grid td a")';
    t.equal(await page.evaluate(`${cells}.length`), 2);
    const label = await page.evaluate(`${cells}[0].getAttribute("aria-label")`);
    t.equal(label, '○ plain: ladder of cell 12, legacy');
    const opened = await page.evaluate(`(async () => {
      const ladder = document.querySelector(${cells}[0].getAttribute('href'));
      const before = ladder.open;
      ${cells}[0].click();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return [before, ladder.open, ladder.querySelector('.request-name').textContent];
    })()`);
    t.same(opened, [false, true, 'legacy']);
    t.same(await page.evaluate(LOW_CONTRAST), [], 'its contrast is AA');
    const narrow = await browser.open(page.requests[0]!, { width: 360 });
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    t.equal(await narrow.evaluate(overflow), 0, 'it fits phones');
  });

  await t.test('draws a benchmark legibly, its modes taken out by key', async (t) => {
    const run = exampleRun();
    const report = { run, cells: summarise(run), comparisons: compareModes(run) };
    const folder = await mkdtemp(join(tmpdir(), 'ambient-lab-page-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'bench.html');
    await writeBenchPage(file, report);
    for (const colors of ['light', 'dark'] as const) {
      const page = await browser.open(`file://${file}`, { colors });
      t.same(page.complaints, []);
      t.same(await page.evaluate(LOW_CONTRAST), [], `contrast of ${colors} is AA`);
      t.same(await page.evaluate(textsBeyondCharts), [], 'no text is cut off');
    }
    const phone = await browser.open(`file://${file}`, { width: 360 });
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    t.equal(await phone.evaluate(overflow), 0, 'it fits phones');
    t.same(await phone.evaluate(textsBeyondCharts), [], 'nor is there');
    t.ok(Number(await phone.evaluate(smallestChartText)) >= 9, 'its texts are legible there');
    const hidden = 'getComputedStyle(document.querySelector("svg.chart .mode-sidecar")).visibility';
    t.equal(await phone.evaluate(hidden), 'visible');
    await phone.evaluate('document.getElementById("show-sidecar").focus()');
    await phone.press(' ');
    t.equal(await phone.evaluate(hidden), 'hidden', 'a mode is taken out of the charts');
    const shapes =
      'new Set([...document.querySelectorAll(".mode-legend .marker")].map((e) => e.getAttribute("d"))).size';
    t.equal(await phone.evaluate(shapes), run.modes.length, 'each mode has a sign of its own');
  });

  await t.test('keeps still for who wants it', async (t) => {
    const duration =
      'getComputedStyle(document.querySelector("#map-wide .packet")).transitionDuration';
    const still = await browser.open(url, { isReducedMotion: true });
    t.equal(await still.evaluate(duration), '0s');
    const moving = await browser.open(url);
    t.not(await moving.evaluate(duration), '0s', 'control: it moves otherwise');
  });
});

/** Pixels of the smallest text of a chart, as it is drawn. */
const smallestChartText = `Math.min(...[...document.querySelectorAll('svg.chart')].flatMap((chart) => {
  const scale = chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
  return [...chart.querySelectorAll('text')].map((text) => parseFloat(getComputedStyle(text).fontSize) * scale);
}))`;

/** Texts of charts that lie beyond their drawing. */
const textsBeyondCharts = `[...document.querySelectorAll('svg.chart')].flatMap((chart) => {
  const frame = chart.getBoundingClientRect();
  return [...chart.querySelectorAll('text')].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1;
  }).map((text) => text.textContent.trim());
})`;

/** A grid of two cells, one encrypted and one plain, out of the recorded run. */
function gridOfTwo(facts: RunFacts): GridResult {
  const cells = cellsOf({ to: ['ambient'], node: ['other'], by: ['pod'] });
  const [plain, encrypted] = [cells[0]!, cells.at(-1)!];
  const named = [[encrypted, HOSTILE] as const, [plain, 'legacy'] as const];
  const results = named.map(([cell, name]) => {
    const path = facts.paths.find(({ request }) => request.name === name)!;
    const told = {
      name,
      outcome: 'holds',
      recorded: HOSTILE,
      answer: '200',
      reachable: true,
    } as const;
    return { ...cell, ...told, facts: readCell(facts, path) };
  });
  const { lab, era } = facts;
  return {
    schema: GRID_SCHEMA,
    lab,
    era,
    sidecarsSpeakHbone: true,
    outcome: 'holds',
    cells: results,
  };
}

/** The same world, and 50 pods more on each node. */
function withManyPods(plan: Plan): Plan {
  const [pattern] = plan.pods;
  const extra = plan.nodes.flatMap(({ name: node }, at) =>
    Array.from({ length: 50 }, (_, index) => {
      const name = `extra-${at}-${index}`;
      return {
        ...pattern!,
        name,
        node,
        netns: `${name}.demo`,
        address: `10.244.${at + 1}.${index + 60}`,
      };
    }),
  );
  const links = extra.map(({ netns, name, node }) => ({
    ...plan.links[0]!,
    a: { ...plan.links[0]!.a, netns, name: 'eth0' },
    b: { ...plan.links[0]!.b, netns: node, name: `v-${name}` },
  }));
  return { ...plan, pods: [...plan.pods, ...extra], links: [...plan.links, ...links] };
}

const countHouses = (map: string): string => `document.querySelectorAll('#${map} .house').length`;

/** Pixels of the smallest name of a pod, as it stands on the screen. */
const smallestName = (map: string): string => `(() => {
  const names = [...document.querySelectorAll('#${map} .house .name')];
  const drawing = document.getElementById('${map}');
  const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
  return Math.min(...names.map((name) => parseFloat(getComputedStyle(name).fontSize) * scale));
})()`;

/** Steps of the first replay at which its packet is outside the frame around the map. */
const stepsOutOfSight = (map: string): string => `(() => {
  const [drawing, next] = [document.getElementById('${map}'), document.getElementById('player-next')];
  const frame = drawing.parentElement;
  const unseen = [];
  for (let step = 1; step <= Number(document.getElementById('player-range').max); step++) {
    next.click();
    const [at, box] = [drawing.querySelector('.packet'), frame].map((e) => e.getBoundingClientRect());
    const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
    const isSeen = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
    const isTall = frame.scrollHeight > frame.clientHeight;
    if (!isSeen || !isTall) unseen.push(step);
  }
  return unseen;
})()`;

/** Texts in sight whose contrast with what lies behind them is below 4.5 (WCAG 2.2, 1.4.3). */
const LOW_CONTRAST = `(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll('h1, h2, h4, p, a, summary, span, td, th, dt, dd, code, button, li')) {
    if (!element.checkVisibility() || element.textContent.trim() === '') continue;
    const [a, b] = [parse(getComputedStyle(element).color).slice(0, 3), behind(element)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(element.tagName + '.' + element.className + ' ' + ratio.toFixed(2));
  }
  return [...new Set(low)].slice(0, 10);
})()`;
