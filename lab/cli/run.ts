import { join } from 'node:path';
import type { Command } from 'commander';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { exitCodeOf } from '../judge/verdict.ts';
import type { Plan } from '../plan/plan.ts';
import { aboutTunnels } from '../report/html/about-tunnels.ts';
import { writeRunPage } from '../report/html/write-page.ts';
import { renderLadder } from '../report/ladder.ts';
import { renderSummary } from '../report/summary.ts';
import { judgeRun } from '../run/judge-run.ts';
import { observe } from '../run/observe.ts';
import { readRulesReports } from '../run/read-rules-reports.ts';
import { inRunDirectory, requireResults } from '../run/results.ts';
import { runScenarios } from '../run/run-scenarios.ts';
import { createLab } from '../world/client.ts';
import type { Lab } from '../world/lab.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { EXIT } from './exit.ts';
import { type Output, shortPath } from './output.ts';
import { followBuild } from './progress.ts';
import {
  planFromFile,
  requireCapabilities,
  resultsOption,
  topologyArgument,
  tunnelsOption,
} from './world.ts';

interface RunOptions {
  readonly era?: string;
  readonly cni?: string;
  readonly iptables?: string;
  readonly tunnels?: string;
  readonly lab?: string;
  readonly results: string;
  readonly keep?: boolean;
  readonly json?: boolean;
}

/** `run`: build, request, record, judge, remove. The main job, and what bare `npm run lab` does. */
export function addRun(program: Command, context: CommandContext): void {
  program
    .command('run')
    .summary('build a lab, run its scenarios, prove what happened, remove it')
    .addArgument(topologyArgument())
    .option('--era <era>', 'build with another era than the topology says')
    .option('--cni <flavour>', 'ptp, bridge or vxlan instead of what the topology says')
    .option(
      '--iptables <backend>',
      'nft or legacy; whatever iptables is on this machine unless given',
    )
    .addOption(tunnelsOption())
    .option('--lab <name>', 'name of the lab; that of the topology unless given')
    .addOption(resultsOption('where the results of runs go'))
    .option('--keep', 'leave the lab running afterwards')
    .option('--json', 'the verdict as one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- run topologies/two-nodes.yaml --era inpod-tproxy',
    )
    .action(async (file: string, options: RunOptions) => {
      requireRoot('run');
      const output = context.output(options.json === true);
      const plan = planFromFile(file, options);
      await requireCapabilities(plan);
      await requireResults(options.results);
      const isKept = options.keep === true;
      const lab = await followBuild(output, (onProgress) =>
        createLab(plan, { detached: isKept, onProgress, signal: context.signal }),
      );
      await using _lab = lab;
      process.exitCode = await inRunDirectory(options.results, plan.lab, new Date(), (directory) =>
        proveScenarios(lab, plan, directory, output, context.signal),
      );
    });
}

async function proveScenarios(
  lab: Lab,
  plan: Plan,
  directory: string,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const { snapLength } = plan.capture;
  const observation = await observe(lab, { directory, snapLength, signal }, () =>
    runScenarios(
      lab,
      plan.scenarios,
      { onSkipped: ({ name }, reason) => output.note(`Not made: ${name}: ${reason}`) },
      signal,
    ),
  );
  if (plan.scenarios.length === 0) {
    output.note(
      `No scenario in ${plan.topologyFile}: the lab was built and recorded, nothing was judged.`,
    );
    return EXIT.held;
  }
  const verdict = await judgeRun(observation, plan.scenarios);
  const page = join(directory, CAPTURE_FILES.page);
  await writeRunPage(page, {
    verb: 'run',
    directory,
    plan,
    facts: observation.facts,
    scenarios: verdict.scenarios,
    rules: await readRulesReports(lab, observation.facts),
    about: aboutTunnels(plan, observation.facts),
  });
  output.result(verdict, () => {
    const shown = { color: output.color, width: output.width };
    const ladders = verdict.scenarios.map((scenario) =>
      renderLadder(observation.facts, scenario, shown),
    );
    const summary = renderSummary(verdict, observation.facts, shown);
    return [
      ...ladders,
      summary,
      `Results in ${shortPath(directory)}, to look at: ${shortPath(page)}`,
    ].join('\n\n');
  });
  return exitCodeOf(verdict.outcome);
}
