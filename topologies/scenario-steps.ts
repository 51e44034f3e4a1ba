import type { TopologyFault } from './errors.ts';
import { readManifests } from './manifests.ts';
import type { NetworkPolicy } from './network-policy.ts';
import { faultAt, nameOf, type PlacedObject } from './placed.ts';
import type { ScenarioInput } from './scenario-schema.ts';
import type { SourceDocument } from './source.ts';
import type { ScenarioStep } from './topology.ts';

type StepInput = NonNullable<ScenarioInput['before']>[number];

/** What the files that steps apply hold. */
export interface ReadSteps {
  /** Policies by file, as the topology names it. */
  readonly policies: ReadonlyMap<string, readonly NetworkPolicy[]>;
  readonly faults: readonly TopologyFault[];
}

/** Reads the files that the steps of scenarios apply, each once. */
export function readSteps(
  scenarios: readonly ScenarioInput[],
  directory: string,
  topology: SourceDocument,
): ReadSteps {
  const policies = new Map<string, readonly NetworkPolicy[]>();
  const faults: TopologyFault[] = [];
  for (const [index, { before = [] }] of scenarios.entries()) {
    for (const [at, { apply }] of before.entries()) {
      if (apply === undefined || policies.has(apply)) continue;
      const path = ['scenarios', index, 'before', at, 'apply'];
      const read = readManifests([apply], directory, inPlaceOf(topology, path));
      faults.push(...read.faults);
      const found: NetworkPolicy[] = [];
      for (const one of read.placed) {
        if (one.object.kind === 'NetworkPolicy') found.push(one.object);
        else faults.push(faultAt(one, { long: ['kind'], short: [] }, notApplied(one)));
      }
      policies.set(apply, found);
    }
  }
  return { policies, faults };
}

/** Faults of the file's name are told where the step is. */
function inPlaceOf(topology: SourceDocument, path: readonly (string | number)[]): SourceDocument {
  return { ...topology, fault: (_, message, options) => topology.fault(path, message, options) };
}

function notApplied({ object }: PlacedObject): string {
  return `Cannot apply ${nameOf(object)} while the lab runs: want a NetworkPolicy`;
}

/** A step as written, its file read. */
export function toStep(step: StepInput, { policies }: ReadSteps): ScenarioStep {
  if (step.enrol !== undefined) return { kind: 'enrol', pod: step.enrol };
  if (step.apply !== undefined) {
    return { kind: 'apply', policies: policies.get(step.apply) ?? [] };
  }
  if (step.delete !== undefined) {
    const [namespace = '', name = ''] = step.delete.split('/');
    return { kind: 'delete', namespace, name };
  }
  if (step.break !== undefined) return { kind: 'break', ...step.break };
  if (step.mend !== undefined) return { kind: 'mend', ...step.mend };
  if (step.label !== undefined) return { kind: 'label', ...step.label };
  return { kind: 'leave', pod: step.leave ?? '' };
}
