import type { Command } from 'commander';
import { examine } from '../diagnose/examine.ts';
import { renderFindings } from '../report/findings.ts';
import { counted } from '../report/text.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { EXIT } from './exit.ts';
import { findLab } from './world.ts';

interface DiagnoseOptions {
  readonly lab?: string;
  readonly json?: boolean;
}

/** `diagnose`: what is wrong in a running lab, from its kernel, sockets and packets. */
export function addDiagnose(program: Command, context: CommandContext): void {
  program
    .command('diagnose')
    .summary('find out what is wrong in a running lab, with evidence and what mends it')
    .description(
      'Reads rules, routes, sockets, settings and programs of every pod and node, and sends a few\n' +
        'packets of its own: SYNs to port 15008 of enrolled pods, pings that may not be fragmented.\n' +
        'It is not told what `break` has done. Nothing is changed. Exit code 1 when anything is wrong.',
    )
    .option('--lab <name>', 'which lab, when several run')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- diagnose')
    .action(async (options: DiagnoseOptions) => {
      requireRoot('diagnose');
      const output = context.output(options.json === true);
      await using lab = await findLab(options.lab);
      const { evidence, findings } = await examine(lab);
      const { nodes, pods, probes, paths } = evidence;
      const looked = [
        `${counted(nodes.length, 'node')} and ${counted(pods.length, 'pod')} read`,
        `${counted(probes.length, 'port')} and ${counted(paths.length, 'path')} probed`,
      ].join(', ');
      output.result({ findings, probes, paths }, () =>
        renderFindings(findings, looked, { width: output.width }),
      );
      process.exitCode = findings.length === 0 ? EXIT.held : EXIT.failed;
    });
}
