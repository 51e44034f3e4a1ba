import type { Command } from 'commander';
import type { EnrolResult } from '../world/lab.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { findLab } from './world.ts';

interface EnrolOptions {
  readonly lab?: string;
  readonly json?: boolean;
}

/** What becomes of connections that are open meanwhile, as the tests of the in-pod eras see it. */
const OPEN_CONNECTIONS = {
  enrol:
    'Connections it had open go on where its conntrack knew them, and are reset where it did not.',
  leave: 'Connections that ztunnel carried for it are cut; new ones go direct.',
} as const;

/** `enrol` and `leave`: put a running pod into the mesh, take it out again. */
export function addEnrol(program: Command, context: CommandContext): void {
  addVerb(program, context, 'enrol', 'put a running pod into the mesh');
  addVerb(program, context, 'leave', 'take a running pod out of the mesh');
}

function addVerb(
  program: Command,
  context: CommandContext,
  verb: 'enrol' | 'leave',
  summary: string,
): void {
  program
    .command(verb)
    .summary(summary)
    .argument('<pod>', 'sleep, demo/sleep or sleep.demo')
    .option('--lab <name>', 'which lab, when several run')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', `\nExample:\n  npm run lab -- ${verb} demo/sleep`)
    .action(async (pod: string, options: EnrolOptions) => {
      requireRoot(verb);
      await using lab = await findLab(options.lab);
      const result = await lab[verb](pod);
      context
        .output(options.json === true)
        .result(result, () => renderResult(result, lab.plan.era));
    });
}

function renderResult(result: EnrolResult, era: string): string {
  const state = result.enrolled ? 'in the mesh' : 'out of the mesh';
  if (result.changed) {
    const open =
      era === 'geneve' ? '' : ` ${OPEN_CONNECTIONS[result.enrolled ? 'enrol' : 'leave']}`;
    return `Pod ${result.pod} is ${state} now.${open}`;
  }
  const mended = result.repaired === true ? ' Its rules had drifted and are repaired.' : '';
  return `Pod ${result.pod} was ${state} already.${mended}`;
}
