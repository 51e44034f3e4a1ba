import type { Command } from 'commander';
import { renderRules } from '../report/rules.ts';
import { readRules } from '../run/read-rules.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { EXIT } from './exit.ts';
import { findLab } from './world.ts';

interface RulesOptions {
  readonly lab?: string;
  readonly raw?: boolean;
  readonly json?: boolean;
}

/** `rules`: what the kernel has, in the order a packet meets it, with reasons and counters. */
export function addRules(program: Command, context: CommandContext): void {
  program
    .command('rules')
    .summary('the rules of a pod or node in walking order, with reasons and counters')
    .description(
      'Reads the rules back from the kernel and compares them with what the era wants.\n' +
        'Exit code 1 when they differ.',
    )
    .argument('<target>', 'sleep, demo/sleep, node1, ztunnel/node1')
    .option('--lab <name>', 'which lab, when several run')
    .option('--raw', 'the text of iptables-save -c, untouched')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- rules demo/sleep')
    .action(async (target: string, options: RulesOptions) => {
      requireRoot('rules');
      const output = context.output(options.json === true);
      await using lab = await findLab(options.lab);
      const reading = await readRules(lab, target);
      output.result(reading, () =>
        options.raw === true ? reading.saved : renderRules(reading, { width: output.width }),
      );
      const isDrifted = reading.drift?.isClean === false || reading.missingRouting.length > 0;
      process.exitCode = isDrifted ? EXIT.failed : EXIT.held;
    });
}
