import type { Command } from 'commander';
import { removeDeadLab, untilLabsSettled } from '../world/client.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { findLab } from './world.ts';

/** `down`: remove a running lab. */
export function addDown(program: Command, context: CommandContext): void {
  program
    .command('down')
    .summary('remove a running lab')
    .option('--lab <name>', 'which lab, when several run')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- down --lab two-nodes')
    .action(async (options: { lab?: string; json?: boolean }) => {
      requireRoot('down');
      const output = context.output(options.json === true);
      const { lab: name } = options;
      await untilLabsSettled();
      if (name !== undefined && removeDeadLab(name)) {
        output.result(
          { lab: name, removed: true },
          () => `Lab ${name} was killed before; what it had left is gone now.`,
        );
        return;
      }
      const lab = await findLab(name);
      await lab.down();
      output.result(
        { lab: lab.name, removed: true },
        () => `Lab ${lab.name} is gone: processes, namespaces, links, rules.`,
      );
    });
}
