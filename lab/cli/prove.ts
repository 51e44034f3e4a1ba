import type { Command } from 'commander';
import type { IpFamily } from '../../topologies/ip.ts';
import { proveMtls } from '../judge/prove-mtls.ts';
import { exitCodeOf } from '../judge/verdict.ts';
import type { Plan } from '../plan/plan.ts';
import { renderLadder } from '../report/ladder.ts';
import { findPod } from '../plan/names.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError } from './exit.ts';
import { ipFamilyOption, observeOne, oneRequest } from './trace.ts';
import { resultsOption, findLab } from './world.ts';

interface ProveOptions {
  readonly ipFamily?: IpFamily;
  readonly lab?: string;
  readonly results: string;
  readonly json?: boolean;
}

/** `prove mtls A B`: is what A says to B encrypted on every link, and by whom? */
export function addProve(program: Command, context: CommandContext): void {
  program
    .command('prove')
    .summary('prove with packets that a request is encrypted, and by whom')
    .description(
      'Makes one request with a canary in it, records every interface, and holds the packets against\n' +
        'the claim. Exit code 0: it holds, 1: it is refuted, 3: the evidence does not suffice.',
    )
    .argument('<claim>', 'mtls')
    .argument('<from>', 'a pod, a node or outside')
    .argument('<to>', 'a pod, or http://…, tcp://host:port')
    .option('--lab <name>', 'which lab, when several run')
    .addOption(ipFamilyOption())
    .addOption(resultsOption('where the capture goes'))
    .option('--json', 'the verdict as one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- prove mtls sleep httpbin')
    .action(async (claim: string, from: string, to: string, options: ProveOptions) => {
      requireRoot('prove');
      if (claim !== 'mtls') {
        throw new CommandError(
          'LAB_UNKNOWN_CLAIM',
          `Cannot prove "${claim}": known claims are mtls`,
        );
      }
      const output = context.output(options.json === true);
      await using lab = await findLab(options.lab);
      const { ipFamily } = options;
      const url = urlOf(to, lab.plan);
      const scenario = oneRequest(`mtls ${from} → ${to}`, from, url, ipFamily);
      const { directory, facts } = await observeOne(
        lab,
        scenario,
        { results: options.results, verb: 'prove' },
        context.signal,
      );
      const verdict = proveMtls(scenario, facts);
      output.result({ ...verdict, directory }, () => {
        const ladder = renderLadder(facts, verdict, { color: output.color, width: output.width });
        return `${ladder}\n\n${verdict.outcome} · capture in ${directory}`;
      });
      process.exitCode = exitCodeOf(verdict.outcome);
    });
}

/** A pod's name stands for the first app that it serves. */
function urlOf(to: string, plan: Plan): string {
  if (to.includes('://')) return to;
  const pod = findPod(plan, to);
  const app = pod.apps.find(({ kind }) => kind === 'http' || kind === 'tcp-echo');
  if (app === undefined || app.kind === 'command') {
    throw new CommandError(
      'LAB_BAD_REQUEST',
      `Cannot send a request to "${to}": it serves no app that answers, give a URL`,
    );
  }
  return app.kind === 'http'
    ? `http://pod:${pod.namespace}/${pod.name}:${app.port}/get`
    : `tcp://pod:${pod.namespace}/${pod.name}:${app.port}`;
}
