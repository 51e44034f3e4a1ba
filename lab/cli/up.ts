import type { Command } from 'commander';
import { createLab } from '../world/client.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { followBuild } from './progress.ts';
import { renderStatus } from './status.ts';
import { planFromFile, requireCapabilities, topologyArgument, tunnelsOption } from './world.ts';

interface UpOptions {
  readonly era?: string;
  readonly cni?: string;
  readonly iptables?: string;
  readonly tunnels?: string;
  readonly lab?: string;
  readonly json?: boolean;
}

/** `up`: build a lab and leave it running. */
export function addUp(program: Command, context: CommandContext): void {
  program
    .command('up')
    .summary('build a lab and leave it running')
    .addArgument(topologyArgument())
    .option('--era <era>', 'build with another era than the topology says')
    .option('--cni <flavour>', 'ptp, bridge or vxlan instead of what the topology says')
    .option(
      '--iptables <backend>',
      'nft or legacy; whatever iptables is on this machine unless given',
    )
    .addOption(tunnelsOption())
    .option('--lab <name>', 'name of the lab; that of the topology unless given')
    .option('--json', 'the status as one JSON value on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  npm run lab -- up topologies/two-nodes.yaml\n' +
        '  npm run lab -- exec sleep -- curl -s http://httpbin.demo:8000/get\n  npm run lab -- down',
    )
    .action(async (file: string, options: UpOptions) => {
      requireRoot('up');
      const output = context.output(options.json === true);
      const plan = planFromFile(file, options);
      await requireCapabilities(plan);
      const lab = await followBuild(output, (onProgress) =>
        createLab(plan, { detached: true, onProgress, signal: context.signal }),
      );
      await using _connection = lab;
      const status = await lab.status();
      output.result(status, () => renderStatus(status, output));
    });
}
