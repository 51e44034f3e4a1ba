import { type Command, Option } from 'commander';
import { judgeScenario } from '../judge/judge-scenario.ts';
import { aboutTunnels } from '../report/html/about-tunnels.ts';
import { writeRunPage } from '../report/html/write-page.ts';
import { renderLadder } from '../report/ladder.ts';
import { renderMermaid } from '../report/mermaid.ts';
import { observe, type Observation } from '../run/observe.ts';
import { readRulesReports } from '../run/read-rules-reports.ts';
import { inRunDirectory } from '../run/results.ts';
import { runScenarios } from '../run/run-scenarios.ts';
import type { Lab } from '../world/lab.ts';
import { IP_FAMILIES, type IpFamily } from '../../topologies/ip.ts';
import type { Scenario } from '../../topologies/topology.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { EXIT } from './exit.ts';
import { resultsOption, findLab } from './world.ts';

interface TraceOptions {
  readonly ipFamily?: IpFamily;
  readonly mermaid?: boolean;
  readonly html?: string;
  readonly lab?: string;
  readonly results: string;
  readonly json?: boolean;
}

/** `trace`: one request in a running lab, and its ladder. */
export function addTrace(program: Command, context: CommandContext): void {
  program
    .command('trace')
    .summary('make one request in a running lab and show its ladder')
    .argument('<from>', 'a pod, a node (its prober) or outside')
    .argument('<to>', 'http://…, tcp://host:port or udp://host:port')
    .option('--lab <name>', 'which lab, when several run')
    .addOption(resultsOption('where the capture goes'))
    .addOption(ipFamilyOption())
    .option('--mermaid', 'a Mermaid sequence diagram instead of the ladder')
    .option('--html <file>', 'also an HTML page, with a map and a replay')
    .option('--json', 'the facts as one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- trace sleep http://httpbin.demo:8000/get')
    .action(async (from: string, to: string, options: TraceOptions) => {
      requireRoot('trace');
      const output = context.output(options.json === true);
      await using lab = await findLab(options.lab);
      const scenario = oneRequest(`${from} → ${to}`, from, to, options.ipFamily);
      const { directory, facts } = await observeOne(
        lab,
        scenario,
        { results: options.results, verb: 'trace' },
        context.signal,
      );
      const verdict = judgeScenario(scenario, facts);
      if (options.html !== undefined) {
        const about = aboutTunnels(lab.plan, facts);
        const rules = await readRulesReports(lab, facts);
        const made = { directory, plan: lab.plan, facts, scenarios: [verdict], rules, about };
        await writeRunPage(options.html, { verb: 'trace', ...made });
      }
      output.result(facts, () => {
        if (options.mermaid === true) {
          return facts.paths.map((path) => renderMermaid(facts, path)).join('\n\n');
        }
        const ladder = renderLadder(facts, verdict, { color: output.color, width: output.width });
        const page = options.html === undefined ? '' : `, page in ${options.html}`;
        return `${ladder}\n\nCapture in ${directory}${page}`;
      });
      process.exitCode = facts.paths.every(({ missing }) => missing.length === 0)
        ? EXIT.held
        : EXIT.cannotRun;
    });
}

/** A scenario of one request that expects nothing. */
export function oneRequest(name: string, from: string, to: string, ipFamily?: IpFamily): Scenario {
  const request = { from, to, ...(ipFamily === undefined ? {} : { ipFamily }), count: 1 };
  return { name, before: [], request, expect: {}, line: 0 };
}

/** `--ip-family IPv6`: which of two to ask in. */
export function ipFamilyOption(): Option {
  const text = 'family to ask in, in a lab of two; else the first of pods, any of names';
  return new Option('--ip-family <family>', text).choices(IP_FAMILIES);
}

/** Records one scenario in a running lab, with whole frames; the verb is in the directory's name. */
export async function observeOne(
  lab: Lab,
  scenario: Scenario,
  { results, verb }: { readonly results: string; readonly verb: 'trace' | 'prove' | 'diff' },
  signal: AbortSignal,
): Promise<Observation> {
  return inRunDirectory(results, `${lab.name}-${verb}`, new Date(), (directory) =>
    observe(lab, { directory, snapLength: 0, signal }, () =>
      runScenarios(lab, [scenario], {}, signal),
    ),
  );
}
