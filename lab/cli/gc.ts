import type { Command } from 'commander';
import { gc, untilLabsSettled } from '../world/client.ts';
import { type CommandContext, requireRoot } from './context.ts';

/** `gc`: remove what dead labs left behind. */
export function addGc(program: Command, context: CommandContext): void {
  program
    .command('gc')
    .summary('remove what dead labs left behind')
    .description(
      'A lab that was killed leaves one directory whose lock nobody holds; the kernel has freed the rest.\n' +
        'This removes such directories and touches nothing that lives. Quiet when there is nothing to do.',
    )
    .option('--dry-run', 'only say what would be removed')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- gc --dry-run')
    .action(async (options: { dryRun?: boolean; json?: boolean }) => {
      requireRoot('gc');
      const isDry = options.dryRun === true;
      await untilLabsSettled();
      const removed = gc({ dryRun: isDry });
      const output = context.output(options.json === true);
      if (removed.length === 0 && !output.json) return;
      const verb = isDry ? 'Would remove' : 'Removed';
      output.result({ dryRun: isDry, removed }, () =>
        removed.map((name) => `${verb} what is left of the dead lab ${name}`).join('\n'),
      );
    });
}
