import Table from 'cli-table3';
import type { Command } from 'commander';
import { addressesOf } from '../plan/families.ts';
import { connectLab, listLabs } from '../world/client.ts';
import type { LabEntry, LabStatus } from '../world/lab.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { type Output, paint } from './output.ts';
import { findLab } from './world.ts';

/** `status`: what runs, with addresses and modes. */
export function addStatus(program: Command, context: CommandContext): void {
  program
    .command('status')
    .summary('what runs, with addresses and modes')
    .description(
      'Says what the only lab that runs has, or the named one; lists the labs when several run, or\n' +
        'with --all, dead ones too. With --json the list is an array.',
    )
    .option('--lab <name>', 'which lab, when several run')
    .option('--all', 'list all labs of this machine, dead ones too')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- status --json')
    .action(async (options: { lab?: string; all?: boolean; json?: boolean }) => {
      requireRoot('status');
      const output = context.output(options.json === true);
      const labs = listLabs();
      const isAmbiguous = labs.filter(({ state }) => state === 'alive').length > 1;
      if (options.all === true || (options.lab === undefined && isAmbiguous)) {
        const lines = await Promise.all(labs.map(summariseLab));
        output.result(lines, () => renderLabs(lines));
        return;
      }
      await using lab = await findLab(options.lab);
      const status = await lab.status();
      output.result(status, () => renderStatus(status, output));
    });
}

interface LabLine extends LabEntry {
  readonly era?: string;
  readonly nodes?: number;
  readonly pods?: number;
  readonly enrolled?: number;
}

/** One lab in the list of all; one that starts or ends just now is told by its name alone. */
async function summariseLab(entry: LabEntry): Promise<LabLine> {
  if (entry.state === 'dead') return entry;
  try {
    await using lab = await connectLab(entry.name);
    const { era, nodes, pods } = await lab.status();
    const enrolled = pods.filter((pod) => pod.enrolled).length;
    return { ...entry, era, nodes: nodes.length, pods: pods.length, enrolled };
  } catch {
    return entry;
  }
}

/** Colours are ours to choose: the table would take them where NO_COLOR forbids. */
const PLAIN = { head: [], border: [] };

/** The table of a lab that people see after `up` and in `status`. */
export function renderStatus(status: LabStatus, output: Output): string {
  const pods = new Table({ head: ['pod', 'node', 'address', 'mesh', 'apps'], style: PLAIN });
  for (const pod of status.pods) {
    const mesh = pod.enrolled ? paint(output.color, 'green', 'ambient') : 'none';
    const addresses = addressesOf(pod).join('\n');
    pods.push([`${pod.namespace}/${pod.name}`, pod.node, addresses, mesh, pod.apps.join(', ')]);
  }
  for (const guest of status.guests ?? []) {
    const addresses = addressesOf(guest).join('\n');
    const name = `${guest.namespace}/${guest.name}`;
    pods.push([name, guest.node, addresses, `guest at ${guest.link}`, '']);
  }
  const processes = new Table({ head: ['process', 'node', 'netns', 'state'], style: PLAIN });
  for (const entry of status.processes) {
    processes.push([entry.name, entry.node, entry.netns, describeState(entry)]);
  }
  const nodes = status.nodes
    .map(({ name, second, ...first }) => {
      const shown = [first, ...(second ? [second] : [])];
      return `${name} ${shown.map((n) => `${n.address} (pods ${n.podRange})`).join(', ')}`;
    })
    .join(' · ');
  const policies = status.networkPolicies.join(', ');
  const enforced = policies === '' ? '' : `\nNetworkPolicy ${policies}`;
  return `Lab ${status.name} · era ${status.era} · ${status.state}\n${nodes}\n${pods.toString()}\n${processes.toString()}${enforced}`;
}

function describeState(entry: LabStatus['processes'][number]): string {
  if (entry.exit === undefined) return entry.state;
  return `exited (${entry.exit.signal ?? entry.exit.code ?? 'unknown'})`;
}

function renderLabs(labs: readonly LabLine[]): string {
  if (labs.length === 0) return 'No lab on this machine.';
  const table = new Table({
    head: ['lab', 'state', 'era', 'nodes', 'pods', 'in the mesh'],
    style: PLAIN,
  });
  for (const { name, state, era = '', nodes = '', pods = '', enrolled = '' } of labs) {
    table.push([name, state, era, nodes, pods, enrolled]);
  }
  const advice = [
    ...(labs.length > 1 ? ['More of one: npm run lab -- status --lab <name>'] : []),
    ...(labs.some(({ state }) => state === 'dead')
      ? ['Remove what is dead: npm run lab -- gc']
      : []),
  ];
  return [table.toString(), ...advice].join('\n');
}
