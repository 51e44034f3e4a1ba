import type { Command } from 'commander';
import type { EnrolResult } from '../world/lab.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { findLab } from './world.ts';

interface EnrolOptions {
  readonly lab?: string;
  readonly json?: boolean;
}

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
      context.output(options.json === true).result(result, () => renderResult(result));
    });
}

function renderResult(result: EnrolResult): string {
  const state = result.enrolled ? 'in the mesh' : 'out of the mesh';
  if (result.changed) return `Pod ${result.pod} is ${state} now.`;
  const mended = result.repaired === true ? ' Its rules had drifted and are repaired.' : '';
  return `Pod ${result.pod} was ${state} already.${mended}`;
}
