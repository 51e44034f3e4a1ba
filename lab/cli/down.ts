import type { Command } from 'commander';
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
      const lab = await findLab(options.lab);
      await lab.down();
      context
        .output(options.json === true)
        .result(
          { lab: lab.name, removed: true },
          () => `Lab ${lab.name} is gone: processes, namespaces, links, rules.`,
        );
    });
}
