import type { Command } from 'commander';
import { loadManifests } from '../../topologies/manifests.ts';
import { isSelected, policyTypesOf, type NetworkPolicy } from '../../topologies/network-policy.ts';
import type { KubernetesObject } from '../../topologies/objects.ts';
import { changesOf, type LiveChange } from '../run/live-changes.ts';
import type { Lab, LabStatus, PodChanged } from '../world/lab.ts';
import { type CommandContext, requireRoot } from './context.ts';
import { findLab } from './world.ts';

interface ApplyOptions {
  readonly filename: readonly string[];
  readonly lab?: string;
  readonly json?: boolean;
}

/** One object and what applying it came to. */
type Applied =
  | {
      readonly kind: 'NetworkPolicy';
      readonly name: string;
      readonly result: 'created' | 'configured';
      /** Pods it isolates now, and for what. */
      readonly isolates: readonly string[];
      readonly policyTypes: readonly string[];
    }
  | ({ readonly kind: 'Pod'; readonly name: string } & PodChanged)
  | { readonly kind: UnchangingKind; readonly name: string; readonly result: 'unchanged' };

type UnchangingKind = Exclude<KubernetesObject['kind'], 'Pod' | 'NetworkPolicy'>;

/** `apply`: objects that a running lab takes live, as `kubectl apply` does. */
export function addApply(program: Command, context: CommandContext): void {
  program
    .command('apply')
    .summary('change objects of a running lab: policies, labels and annotations of pods')
    .description(
      'Takes NetworkPolicy objects, and Pods of the lab whose labels or annotations are other than\n' +
        'they were; everything else needs a new lab. A file with anything else changes nothing. A\n' +
        'label istio.io/dataplane-mode puts the pod into the mesh or takes it out; annotations of\n' +
        'Istio count from the next time that it joins. Services keep the endpoints they have.',
    )
    .requiredOption('-f, --filename <file...>', 'manifests, `-` for standard input')
    .option('--lab <name>', 'which lab, when several run')
    .option('--json', 'one JSON value on stdout')
    .addHelpText('after', '\nExample:\n  npm run lab -- apply -f policy.yaml')
    .action(async (options: ApplyOptions) => {
      requireRoot('apply');
      const placed = loadManifests(options.filename);
      await using lab = await findLab(options.lab);
      const applied: Applied[] = [];
      for (const change of changesOf(placed, lab.plan)) applied.push(await applyTo(lab, change));
      const text = applied.map(renderApplied).join('\n');
      const nothing = 'Nothing to apply: no object in it';
      context.output(options.json === true).result(applied, () => text || nothing);
    });
}

async function applyTo(lab: Lab, change: LiveChange): Promise<Applied> {
  if (change.kind === 'same') {
    const { kind, metadata } = change.object;
    const { name, namespace } = metadata;
    const full = namespace === undefined ? name : `${namespace}/${name}`;
    return { kind: kind as UnchangingKind, name: full, result: 'unchanged' };
  }
  if (change.kind === 'pod') {
    const { pod, labels, annotations } = change;
    const name = `${pod.namespace}/${pod.name}`;
    return { kind: 'Pod', name, ...(await lab.changePod({ pod: name, labels, annotations })) };
  }
  const { policy } = change;
  const name = policyName(policy);
  const { networkPolicies } = await lab.status();
  await lab.changePolicies({ kind: 'apply', policy });
  const result = networkPolicies.includes(name) ? 'configured' : 'created';
  const isolates = isolatedBy(policy, await lab.status());
  return { kind: 'NetworkPolicy', name, result, isolates, policyTypes: policyTypesOf(policy) };
}

function policyName({ metadata }: NetworkPolicy): string {
  return `${metadata.namespace ?? 'default'}/${metadata.name}`;
}

function isolatedBy({ metadata, spec }: NetworkPolicy, { pods }: LabStatus): readonly string[] {
  const namespace = metadata.namespace ?? 'default';
  return pods
    .filter((pod) => pod.namespace === namespace && isSelected(spec.podSelector, pod.labels))
    .map((pod) => `${pod.namespace}/${pod.name}`);
}

function renderApplied(applied: Applied): string {
  if (applied.kind === 'Pod') return renderPod(applied);
  if (applied.kind !== 'NetworkPolicy') return `${applied.kind} ${applied.name} unchanged`;
  const { name, result, isolates, policyTypes } = applied;
  const whom = isolates.length === 0 ? 'selects no pod' : `isolates ${isolates.join(', ')}`;
  return `NetworkPolicy ${name} ${result}: ${whom} (${policyTypes.join(', ')})`;
}

function renderPod({ name, changed, mesh }: { readonly name: string } & PodChanged): string {
  if (changed.length === 0) return `Pod ${name} unchanged`;
  const joined = mesh === undefined ? '' : `, ${mesh === 'joined' ? 'joined' : 'left'} the mesh`;
  return `Pod ${name} configured: ${changed.join(' and ')}${joined}`;
}
