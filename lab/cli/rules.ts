import type { Command } from 'commander';
import { renderRules } from '../report/rules.ts';
import { renderRulesFile } from '../report/rules-file.ts';
import { isDrifted, readRules } from '../run/read-rules.ts';
import { renderNftFile } from '../report/rules-nft-file.ts';
import { isFileDifferent, readRulesFile, summariseFile } from '../run/read-rules-file.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Output } from './output.ts';
import { findLab } from './world.ts';

interface RulesOptions {
  readonly lab?: string;
  readonly raw?: boolean;
  readonly from?: string;
  readonly json?: boolean;
}

/** `rules`: what the kernel has, in the order a packet meets it, with reasons and counters. */
export function addRules(program: Command, context: CommandContext): void {
  program
    .command('rules')
    .summary('the rules of a pod, a node or a file in walking order, with reasons and counters')
    .description(
      'Reads the rules back from the kernel and compares them with what the era wants.\n' +
        'With --from, reads rules that were saved on some cluster, says which era they are and with\n' +
        'which options, and what differs from that era. Needs no root and no lab then.\n' +
        'Exit code 1 when they differ.',
    )
    .argument('[target]', 'sleep, demo/sleep, node1, ztunnel/node1')
    .option('--lab <name>', 'which lab, when several run')
    .option(
      '--from <file>',
      'text of iptables-save (and ip6tables-save), nft list ruleset or nft -j list ruleset; `-` reads standard input',
    )
    .option('--raw', 'the text of iptables-save -c and nft list ruleset, untouched')
    .option('--json', 'one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- rules demo/sleep\n' +
        '  kubectl debug … -- iptables-save -c > pod.rules; npm run lab -- rules --from pod.rules',
    )
    .action(async (target: string | undefined, options: RulesOptions) => {
      const output = context.output(options.json === true);
      if (options.from === undefined) await rulesOfPlace(target, options, output);
      else await rulesOfFile(options.from, target, output);
    });
}

async function rulesOfPlace(
  target: string | undefined,
  options: RulesOptions,
  output: Output,
): Promise<void> {
  if (target === undefined) {
    throw new CommandError(
      'LAB_BAD_TARGET',
      'Cannot read rules of nothing: a pod or node is wanted, or a file with --from',
    );
  }
  requireRoot('rules');
  await using lab = await findLab(options.lab);
  const reading = await readRules(lab, target);
  output.result(reading, () =>
    options.raw === true
      ? `${reading.saved}${reading.nft ?? ''}`
      : renderRules(reading, { width: output.width }),
  );
  process.exitCode = isDrifted(reading) ? EXIT.failed : EXIT.held;
}

async function rulesOfFile(
  file: string,
  target: string | undefined,
  output: Output,
): Promise<void> {
  if (target !== undefined) {
    throw new CommandError(
      'LAB_BAD_TARGET',
      `Cannot read rules of "${target}" and of file "${file}" at once: one of them is wanted`,
    );
  }
  const reading = await readRulesFile(file);
  const { width } = output;
  output.result(summariseFile(reading), () =>
    reading.nft === undefined
      ? renderRulesFile(reading, { width })
      : renderNftFile(file, reading.nft, { width }),
  );
  process.exitCode = isFileDifferent(reading) ? EXIT.failed : EXIT.held;
}
