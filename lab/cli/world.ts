import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Argument, Option } from 'commander';
import type { Era } from '../../dataplane/redirect/era.ts';
import { TUNNEL_KINDS } from '../../dataplane/tunnels/tunnel.ts';
import { loadTopology } from '../../topologies/load.ts';
import { missingFor, type Capability } from '../hosts/capabilities.ts';
import type { Plan } from '../plan/plan.ts';
import { planLab } from '../plan/plan-lab.ts';
import { connectLab, listLabs } from '../world/client.ts';
import type { Lab } from '../world/lab.ts';
import { CommandError } from './exit.ts';
import { projectRoot } from './project-root.ts';

/** Options of every verb that starts from a topology file. */
export interface TopologyOptions {
  readonly era?: string;
  readonly cni?: string;
  readonly iptables?: string;
  readonly tunnels?: string;
  readonly lab?: string;
}

/** Where results go unless the user says otherwise: the project's own folder, or this one. */
export function defaultResultsRoot(): string {
  return join(projectRoot(), 'results');
}

/** Where the topologies of the project are: its own folder, or that of this directory. */
export function topologiesRoot(): string {
  const own = join(projectRoot(), 'topologies');
  return existsSync(own) ? own : resolve('topologies');
}

/** `--results`: its help names the folder as people know it, not where this machine has it. */
export function resultsOption(text: string): Option {
  return new Option('--results <directory>', text).default(
    defaultResultsRoot(),
    'results, in the project',
  );
}

/** The topology file of a verb, the shipped one unless given. */
export function topologyArgument(): Argument {
  return new Argument('[topology]', 'topology file, `-` for standard input').default(
    join(topologiesRoot(), 'two-nodes.yaml'),
    'topologies/two-nodes.yaml',
  );
}

/** `--tunnels`, of verbs that can build era geneve. */
export function tunnelsOption(): Option {
  const kinds = TUNNEL_KINDS.join(', ');
  const text = `era geneve: ${kinds}; the first that works on this machine unless given`;
  return new Option('--tunnels <kind>', text);
}

/** `--topology`, where a verb has other arguments: a file of the project's own unless given. */
export function topologyOption(text: string, name: string): Option {
  return new Option('--topology <file>', text).default(
    join(topologiesRoot(), name),
    `topologies/${name}`,
  );
}

/** Reads a topology and decides everything about its world. Touches nothing. */
export function planFromFile(file: string, options: TopologyOptions): Plan {
  const topology = loadTopology(file);
  const { lab, era, cni, iptables, tunnels } = options;
  return planLab(topology, { lab, era, cni, iptables, tunnels });
}

/** @throws CommandError LAB_CANNOT_RUN naming what this machine lacks for the plan's era */
export async function requireCapabilities(plan: Plan): Promise<void> {
  refuseMissing(plan.era, await missingFor(...needsOf(plan)));
}

/** What a plan asks of the machine, in the words of `capabilities.ts`. */
function needsOf({ era, cni, iptables, tunnels, pods }: Plan): readonly string[] {
  const hasSidecars = pods.some(({ sidecar }) => sidecar !== undefined);
  return [
    era,
    `cni ${cni}`,
    ...(iptables === undefined ? [] : [`iptables ${iptables}`]),
    ...(tunnels === undefined ? [] : [`tunnels ${tunnels}`]),
    ...(hasSidecars ? ['sidecars'] : []),
  ];
}

function refuseMissing(era: Era, missing: readonly Capability[]): void {
  if (missing.length === 0) return;
  const lines = missing.map(
    (c) => `  ${c.name} (${c.neededFor}): ${c.evidence}\n    wanted: ${c.howToGet}`,
  );
  throw new CommandError(
    'LAB_CANNOT_RUN',
    `Cannot run era "${era}" on this machine: it lacks\n${lines.join('\n')}`,
    'See `npm run lab -- doctor` for all that was tried.',
  );
}

/** The lab a verb means: the named one, or the only one that runs. */
export async function findLab(name: string | undefined): Promise<Lab> {
  if (name !== undefined) return connectLab(name);
  const labs = listLabs();
  const alive = labs.filter((entry) => entry.state === 'alive');
  const [only, ...others] = alive;
  if (only === undefined) {
    const killed = labs.map((entry) => `, ${entry.name} was killed`).join('');
    throw new CommandError(
      'LAB_NOT_RUNNING',
      `Cannot find a lab: none runs on this machine${killed}`,
      'Start one: npm run lab -- up topologies/two-nodes.yaml',
    );
  }
  if (others.length > 0) {
    const names = alive.map((entry) => entry.name).join(', ');
    throw new CommandError(
      'LAB_BAD_CHOICE',
      `Cannot choose between labs ${names}: name one with --lab`,
    );
  }
  return connectLab(only.name);
}
