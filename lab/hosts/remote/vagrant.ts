import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../run.ts';
import { routeBy, type Route } from '../ssh/connect.ts';
import { parseSshConfig, settingsFor, type Setting } from '../ssh/config.ts';
import { SshError } from '../ssh/errors.ts';

/** How a person names the machine of this project's Vagrantfile after `--on`. */
const NAME = /^vagrant:(\D.*)?$/;
/** Vagrant is Ruby, and asks the provider. */
const TIMEOUT_MS = 120_000;
/** Vagrant makes this folder, and never sends it. */
const FOLDER = '.vagrant';

/** Whether this is `vagrant:` or `vagrant:<machine>`; a number would be a port of a host "vagrant". */
export function isVagrantName(text: string): boolean {
  return NAME.test(text);
}

/**
 * Finds a machine by `vagrant ssh-config`. Vagrant knows no host keys and checks none: the first one
 * that a machine shows is pinned under its id, another one from then on refused.
 *
 * @throws SshError LAB_CANNOT_RUN when Vagrant is not there, or the machine not up
 */
export async function findVagrantRoute(root: string, name: string): Promise<Route> {
  const machine = NAME.exec(name)?.[1];
  const argv = ['vagrant', 'ssh-config', ...(machine === undefined ? [] : [machine])] as const;
  // Vagrant looks for its file from where it is started.
  const done = await runProgram(argv, { cwd: root, timeoutMs: TIMEOUT_MS });
  if (done.exitCode !== 0) throw notUp(done.stderr);
  const settings = parseSshConfig(done.stdout, argv.join(' '));
  const alias = machine ?? firstAlias(settings);
  const found = settingsFor(settings, alias);
  const id = machineIds(root).find((entry) => entry.machine === alias)?.id ?? alias;
  const pinned = {
    ...found,
    hostKeyAlias: `vagrant-${id}`,
    userKnownHostsFiles: [join(root, FOLDER, 'ambient-lab-known-hosts')],
    globalKnownHostsFiles: [],
  };
  return { ...routeBy(pinned, { host: alias }, undefined), pinsFirstKey: true };
}

function firstAlias(settings: readonly Setting[]): string {
  for (const { conditions } of settings)
    for (const condition of conditions)
      if (condition.kind === 'alias') return condition.patterns[0] ?? 'default';
  return 'default';
}

/** `.vagrant/machines/<machine>/<provider>/id` */
function machineIds(root: string): readonly { readonly machine: string; readonly id: string }[] {
  const machines = join(root, FOLDER, 'machines');
  if (!existsSync(machines)) return [];
  return readdirSync(machines).flatMap((machine) =>
    readdirSync(join(machines, machine)).flatMap((provider) => {
      const file = join(machines, machine, provider, 'id');
      return existsSync(file) ? [{ machine, id: readFileSync(file, 'utf8').trim() }] : [];
    }),
  );
}

function notUp(stderr: string): SshError {
  const said = stderr.trim().split('\n')[0] ?? '';
  return new SshError(
    'LAB_CANNOT_RUN',
    `Cannot go to the Vagrant machine: "${said}" is what \`vagrant ssh-config\` says, a machine that is up was wished`,
    { hint: 'Start it: vagrant up' },
  );
}
