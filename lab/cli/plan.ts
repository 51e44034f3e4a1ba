import type { Command } from 'commander';
import { renderCommands, renderObjects } from '../plan/render.ts';
import { redirectCommands } from '../run/redirect-commands.ts';
import type { CommandContext } from './context.ts';
import { planFromFile, topologyArgument, tunnelsOption } from './world.ts';

interface PlanOptions {
  readonly era?: string;
  readonly cni?: string;
  readonly iptables?: string;
  readonly tunnels?: string;
  readonly commands?: boolean;
  readonly json?: boolean;
}

/** `plan`: what a topology means, without building it. Needs no root. */
export function addPlan(program: Command, context: CommandContext): void {
  program
    .command('plan')
    .summary('print what a topology means, without building it')
    .description(
      'Prints the Kubernetes objects a topology expands to, or every command that building it equals.',
    )
    .addArgument(topologyArgument())
    .option('--era <era>', 'plan for another era than the topology says')
    .option('--cni <flavour>', 'ptp, bridge or vxlan instead of what the topology says')
    .option(
      '--iptables <backend>',
      'nft or legacy; whatever iptables is on this machine unless given',
    )
    .addOption(tunnelsOption())
    .option('--commands', 'print the commands that building it equals instead of the objects')
    .option('--json', 'the whole plan as one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- plan topologies/same-node.yaml --commands')
    .action(async (file: string, options: PlanOptions) => {
      const plan = planFromFile(file, options);
      context
        .output(options.json === true)
        .result(plan, () =>
          options.commands === true
            ? `${renderCommands(plan)}\n${redirectCommands(plan)}`
            : renderObjects(plan),
        );
    });
}
