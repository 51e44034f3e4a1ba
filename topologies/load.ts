import path from 'node:path';
import { checkObjects } from './check.ts';
import { checkScenarios } from './check-scenarios.ts';
import { DEFAULT_CNI_NAME, DEFAULT_NETWORK_POLICY_FLAVOUR } from './cni.ts';
import { checkShortForm, DEFAULT_IP_FAMILIES } from './check-short-form.ts';
import { DEFAULT_ERA_NAME } from './era.ts';
import { formatFault, TopologyError, type TopologyFault } from './errors.ts';
import { expandShortForm } from './expand.ts';
import { checkShape } from './issues.ts';
import { readManifests } from './manifests.ts';
import { readText } from './read-text.ts';
import type { ScenarioInput } from './scenario-schema.ts';
import { topologySchema, type TopologyInput } from './schema.ts';
import { parseSource, type SourceDocument } from './source.ts';
import type { PlacedObject } from './placed.ts';
import { readSteps, toStep, type ReadSteps } from './scenario-steps.ts';
import type { Scenario, Topology } from './topology.ts';

/** Later faults of a file with more are mostly echoes of the first. */
const MAX_FAULTS = 100;

/** Its descriptor: `/dev/stdin` cannot be opened where standard input is a socket. */
const STANDARD_INPUT = 0;

export interface LoadOptions {
  /** Text to use for `-` instead of reading standard input. */
  readonly stdin?: string;
}

/**
 * Reads, checks and expands a topology file and the manifests it names; `-` is standard input.
 * Manifests are found from the file's directory, or from the working directory for `-`.
 * @throws {TopologyError} TOPOLOGY_NOT_FOUND when there is no file to read, TOPOLOGY_INVALID with
 *   every fault found otherwise.
 */
export function loadTopology(file: string, options: LoadOptions = {}): Topology {
  const text = file === '-' ? (options.stdin ?? readText(STANDARD_INPUT)) : readText(file);
  if (typeof text !== 'string') {
    const message = `Cannot read topology "${file}": ${text.reason}`;
    const fault = { file, line: 1, column: 1, path: '', message };
    throw new TopologyError('TOPOLOGY_NOT_FOUND', [fault], { cause: text.cause });
  }
  return parseTopology(text, file);
}

/**
 * The same from a text; `file` is what messages call it and where manifests are looked for.
 * @throws {TopologyError} TOPOLOGY_INVALID with every fault found.
 */
export function parseTopology(text: string, file: string): Topology {
  const source = parseSource(text, file);
  if (source.faults.length > 0) throw invalid(source.faults);
  const document = source.documents[0];
  if (!document || document.value === null) {
    throw invalid([{ file, line: 1, column: 1, path: '', message: 'The topology is empty' }]);
  }
  if (source.documents.length > 1) {
    const message = 'A topology is one document; Kubernetes objects go into files of "manifests"';
    throw invalid([source.documents[1]!.fault([], message)]);
  }
  const { data, faults } = checkShape(topologySchema, document);
  if (data === undefined) throw invalid(faults);
  return resolve(data, file, document);
}

function resolve(input: TopologyInput, file: string, document: SourceDocument): Topology {
  const nodes = input.nodes.map((node) => (typeof node === 'string' ? { name: node } : node));
  const nodeNames = nodes.map(({ name }) => name);
  const directory = file === '-' ? '.' : path.dirname(file);
  const manifests = readManifests(input.manifests ?? [], directory, document);
  const placed = [...expandShortForm(input, document), ...manifests.placed];
  const scenarios = input.scenarios ?? [];
  const ipFamilies = input.ipFamilies ?? DEFAULT_IP_FAMILIES;
  const steps = readSteps(scenarios, directory, document);
  const faults = [
    ...checkShortForm(input, document),
    ...manifests.faults,
    ...checkObjects(placed, nodeNames, ipFamilies),
    ...steps.faults,
    ...checkScenarios(scenarios, { placed, nodes: nodeNames, ipFamilies }, document),
  ];
  if (faults.length > 0) throw invalid(faults);
  return {
    file,
    name: input.name,
    era: input.era ?? DEFAULT_ERA_NAME,
    ...(input.release === undefined ? {} : { release: input.release }),
    ...(input.dnsCapture === undefined ? {} : { dnsCapture: input.dnsCapture }),
    ...(input.iptables === undefined ? {} : { iptables: input.iptables }),
    cni: input.cni ?? DEFAULT_CNI_NAME,
    networkPolicy: input.networkPolicy ?? DEFAULT_NETWORK_POLICY_FLAVOUR,
    ipFamilies,
    proxyMetadata: input.proxyMetadata ?? {},
    nodes,
    objects: withoutCopies(placed),
    policies: input.policies ?? [],
    capture: { snapLength: input.capture?.snapLength ?? 0 },
    scenarios: scenarios.map((scenario, index) => toScenario(scenario, index, document, steps)),
  };
}

/** A service account that the short form made and a manifest spells out is kept as spelt out. */
function withoutCopies(placed: readonly PlacedObject[]): PlacedObject['object'][] {
  const written = new Set<string>();
  const key = ({ object }: PlacedObject): string =>
    `${object.metadata.namespace}/${object.metadata.name}`;
  for (const one of placed) {
    if (one.object.kind === 'ServiceAccount' && !one.isShort) written.add(key(one));
  }
  return placed
    .filter((one) => one.object.kind !== 'ServiceAccount' || !one.isShort || !written.has(key(one)))
    .map(({ object }) => object);
}

function toScenario(
  scenario: ScenarioInput,
  index: number,
  document: SourceDocument,
  steps: ReadSteps,
): Scenario {
  const { ipFamily } = scenario.request;
  return {
    name: scenario.name,
    before: (scenario.before ?? []).map((step) => toStep(step, steps)),
    request: {
      from: scenario.request.from,
      to: scenario.request.to,
      ...(ipFamily === undefined ? {} : { ipFamily }),
      count: scenario.request.count ?? 1,
    },
    expect: scenario.expect,
    ...(scenario.eras && { eras: scenario.eras }),
    line: document.fault(['scenarios', index], '').line,
  };
}

function invalid(faults: readonly TopologyFault[]): TopologyError {
  const files = new Map([...new Set(faults.map(({ file }) => file))].map((file, i) => [file, i]));
  const order = (a: TopologyFault, b: TopologyFault): number =>
    files.get(a.file)! - files.get(b.file)! || a.line - b.line || a.column - b.column;
  const once = new Map(faults.map((fault) => [formatFault(fault), fault]));
  const sorted = [...once.values()].sort(order).slice(0, MAX_FAULTS);
  return new TopologyError('TOPOLOGY_INVALID', sorted);
}
