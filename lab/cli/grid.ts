import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { CAPTURE_FILES } from '../capture/layout.ts';
import {
  CALLED_BY,
  type Cell,
  type CellChoice,
  cellsOf,
  DISTANCES,
  MODES,
  nameOf,
  needsEnvoy,
} from '../grid/cells.ts';
import { scenarioOf } from '../grid/expectations.ts';
import { type GridResult, gridOf, LADDERS } from '../grid/grid-result.ts';
import { type GridPlan, planGrid } from '../grid/plan-grid.ts';
import { missingFor } from '../hosts/capabilities.ts';
import { exitCodeOf, type RunVerdict } from '../judge/verdict.ts';
import { renderGrid } from '../report/grid.ts';
import { aboutTunnels } from '../report/html/about-tunnels.ts';
import { writeRunPage } from '../report/html/write-page.ts';
import { renderLadder } from '../report/ladder.ts';
import { counted } from '../report/text.ts';
import { judgeRun } from '../run/judge-run.ts';
import { observe, type Observation } from '../run/observe.ts';
import { readRulesReports } from '../run/read-rules-reports.ts';
import { inRunDirectory, requireResults } from '../run/results.ts';
import { runScenarios } from '../run/run-scenarios.ts';
import { createLab } from '../world/client.ts';
import type { Lab } from '../world/lab.ts';
import { loadTopology } from '../../topologies/load.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { type Output, shortPath } from './output.ts';
import { followBuild } from './progress.ts';
import { requireCapabilities, resultsOption, topologiesRoot } from './world.ts';

interface GridOptions extends CellChoice {
  readonly era?: string;
  readonly withoutHbone?: boolean;
  readonly lab: string;
  readonly results: string;
  readonly json?: boolean;
}

/** `grid`: every ordered pair of modes, near and far, by service and pod IP, in one table. */
export function addGrid(program: Command, context: CommandContext): void {
  program
    .command('grid')
    .summary('who reaches whom, and who encrypts where: no mesh, sidecar and ambient in all pairs')
    .description(
      'Builds one lab with pods of every kind on two nodes, makes a request for each ordered pair on\n' +
        'the same and on another node, by service and by pod IP, and prints what the packets say: who\n' +
        'encrypted on which links, the source the app saw, identities, legs, hops, netfilter passes.\n' +
        'Exit code 1 when a pair is other than recorded, 3 when one could not run.',
    )
    .addOption(choices('--from <mode...>', 'clients of the pairs', MODES))
    .addOption(choices('--to <mode...>', 'servers of the pairs', MODES))
    .addOption(choices('--node <which...>', 'whether the server is on the same node', DISTANCES))
    .addOption(choices('--by <what...>', 'what the server is called by', CALLED_BY))
    .option('--era <era>', 'era of the ambient side; inpod-redirect unless given')
    .option(
      '--without-hbone',
      'sidecars that neither take nor send HBONE, as without Istio’s ambient profile',
    )
    .option('--lab <name>', 'name of the lab', 'grid')
    .addOption(resultsOption('where captures, ladders and the page go'))
    .option('--json', 'the grid as one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- grid\n' +
        '  npm run lab -- grid --from sidecar ambient --to ambient --node other --era inpod-tproxy',
    )
    .action(async (options: GridOptions) => {
      requireRoot('grid');
      const output = context.output(options.json === true);
      const world = await planWorld(options);
      await requireCapabilities(world.plan);
      await requireResults(options.results);
      const [needs] = world.left.values();
      if (needs !== undefined) {
        const count = counted(world.left.size, 'cell');
        output.note(`Not to be run here: ${count}, for want of ${needs}`);
      }
      process.exitCode = await inRunDirectory(
        options.results,
        options.lab,
        new Date(),
        (directory) => proveGrid(world, directory, output, context.signal),
      );
    });
}

function choices(flags: string, text: string, words: readonly string[]): Option {
  return new Option(flags, `${text}; all unless given`).choices(words);
}

interface GridWorld extends GridPlan {
  readonly cells: readonly Cell[];
  /** Names of cells that cannot run here, with what they need. */
  readonly left: ReadonlyMap<string, string>;
}

/** What is to be built: everything, or, where there is no Envoy, everything that needs none. */
async function planWorld(options: GridOptions): Promise<GridWorld> {
  const { lab, era, withoutHbone } = options;
  const topology = loadTopology(join(topologiesRoot(), 'grid.yaml'));
  const cells = cellsOf(options);
  const lacks = cells.some(needsEnvoy) ? await missingFor('sidecars') : [];
  const left = lacks.length > 0 ? cells.filter(needsEnvoy) : [];
  const needs = lacks.map(({ name, howToGet }) => `${name}: ${howToGet}`).join('; ');
  // With nothing else to do, what the machine lacks is told as by every other verb.
  const made = left.length === cells.length ? cells : cells.filter((each) => !left.includes(each));
  return {
    ...planGrid(topology, made, { lab, era, withoutHbone }),
    cells,
    left: new Map(left.map((cell) => [nameOf(cell), needs])),
  };
}

async function proveGrid(
  { plan, kind, cells, left }: GridWorld,
  directory: string,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  await using lab = await followBuild(output, (onProgress) =>
    createLab(plan, { onProgress, signal }),
  );
  const observation = await observe(
    lab,
    { directory, snapLength: 0, quietMs: QUIET_MS, signal },
    () => runScenarios(lab, plan.scenarios, {}, signal),
  );
  const scenarios = cells.map((cell) => scenarioOf(cell, kind));
  const verdict = await judgeRun(observation, scenarios, left);
  const grid = gridOf(cells, kind, verdict, observation.facts);
  const page = await writeResults(lab, observation, verdict, grid);
  output.result({ ...grid, directory }, () => {
    const { color, width } = output;
    const ladders = shortPath(join(directory, LADDERS));
    return [
      renderGrid(grid, { color, width }),
      `Ladders in ${ladders}, one a cell; to look at: ${shortPath(page)}`,
    ].join('\n\n');
  });
  return exitCodeOf(grid.outcome);
}

/** Leaves `grid.json`, a ladder for each cell and the page, which it names. */
async function writeResults(
  lab: Lab,
  { directory, facts }: Observation,
  { scenarios }: RunVerdict,
  grid: GridResult,
): Promise<string> {
  await writeFile(join(directory, 'grid.json'), JSON.stringify(grid, null, 2));
  await mkdir(join(directory, LADDERS));
  for (const { name, ladder } of grid.cells) {
    const verdict = scenarios.find((each) => each.name === name);
    if (ladder === undefined || verdict === undefined) continue;
    const text = renderLadder(facts, verdict, { color: false, width: LADDER_WIDTH });
    await writeFile(join(directory, ladder), `${text}\n`);
  }
  const page = join(directory, CAPTURE_FILES.page);
  const rules = await readRulesReports(lab, facts);
  const about = aboutTunnels(lab.plan, facts);
  const { plan } = lab;
  await writeRunPage(page, { verb: 'grid', directory, plan, facts, scenarios, rules, about, grid });
  return page;
}

const LADDER_WIDTH = 120;
/** A loaded machine must not cost a cell its leg records. */
const QUIET_MS = 250;
