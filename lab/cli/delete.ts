import type { Command } from 'commander';
import { loadManifests } from '../../topologies/manifests.ts';
import { didYouMean } from '../../topologies/nearest.ts';
import { deletionsOf } from '../run/live-changes.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { CommandError } from './exit.ts';
import { findLab } from './world.ts';

interface DeleteOptions {
  readonly filename?: readonly string[];
  readonly namespace: string;
  readonly lab?: string;
  readonly json?: boolean;
}

/** As kubectl knows the kind. */
const POLICY_WORDS = ['networkpolicy', 'networkpolicies', 'netpol'];

/** `delete`: takes NetworkPolicy objects out of a running lab, by file or by name. */
export function addDelete(program: Command, context: CommandContext): void {
  program
    .command('delete')
    .summary('take policies out of a running lab')
    .description(
      'Takes NetworkPolicy objects away, by the file they were applied from or by name. No other\n' +
        'kind can go while a lab runs; one that the lab has not changes nothing.',
    )
    .argument('[kind]', 'networkpolicy')
    .argument('[names...]', 'web, or demo/web')
    .option('-f, --filename <file...>', 'manifests, `-` for standard input')
    .option('-n, --namespace <namespace>', 'of names without one', 'default')
    .option('--lab <name>', 'which lab, when several run')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- delete networkpolicy web -n demo')
    .action(async (kind: string | undefined, names: string[], options: DeleteOptions) => {
      requireRoot('delete');
      const wanted = wantedBy(kind, names, options);
      await using lab = await findLab(options.lab);
      const { networkPolicies } = await lab.status();
      const unknown = wanted.find((one) => !networkPolicies.includes(textOf(one)));
      if (unknown !== undefined) throw unknownPolicy(textOf(unknown), networkPolicies);
      for (const one of wanted) await lab.changePolicies({ kind: 'delete', ...one });
      const deleted = wanted.map((one) => ({ kind: 'NetworkPolicy', name: textOf(one) }));
      const text = deleted.map(({ name }) => `NetworkPolicy ${name} deleted`).join('\n');
      context.output(options.json === true).result(deleted, () => text || 'Nothing to delete');
    });
}

interface PolicyName {
  readonly namespace: string;
  readonly name: string;
}

function wantedBy(
  kind: string | undefined,
  names: readonly string[],
  { filename, namespace }: DeleteOptions,
): readonly PolicyName[] {
  if (filename !== undefined && kind === undefined) return deletionsOf(loadManifests(filename));
  if (filename !== undefined || kind === undefined || names.length === 0) {
    throw new CommandError('LAB_BAD_CHOICE', 'Cannot delete: want -f <file>, or a kind and names');
  }
  const word = kind.toLowerCase().split('.')[0]!;
  if (!POLICY_WORDS.includes(word)) {
    const message = `Cannot delete a "${kind}" in a running lab: want networkpolicy`;
    throw new CommandError('LAB_BAD_CHOICE', message);
  }
  return names.map((text) => {
    const [first = '', ...rest] = text.split('/');
    return rest.length === 0
      ? { namespace, name: first }
      : { namespace: first, name: rest.join('/') };
  });
}

function textOf({ namespace, name }: PolicyName): string {
  return `${namespace}/${name}`;
}

function unknownPolicy(name: string, known: readonly string[]): CommandError {
  const message = `Cannot delete the NetworkPolicy "${name}": the lab has ${known.join(', ') || 'none'}`;
  return new CommandError('LAB_UNKNOWN_POLICY', message, didYouMean(name, known));
}
