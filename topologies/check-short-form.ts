import { notOfLab } from './check-addresses.ts';
import { DEFAULT_ERA_NAME, type EraName } from './era.ts';
import type { TopologyFault } from './errors.ts';
import { parseIpRange, rangesOverlap, type IpFamily, type IpRange } from './ip.ts';
import { nearest } from './nearest.ts';
import { RESERVED_RANGES } from './ranges.ts';
import type { TopologyInput } from './schema.ts';
import type { SourceDocument } from './source.ts';

/** Names that words of scenarios and commands mean something else by. */
const RESERVED_NODE_NAMES = ['fabric', 'outside', 'self', 'ztunnel', 'all'];

/** Faults inside the topology file itself that a schema cannot express. */
export function checkShortForm(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  return [
    ...checkFamilies(input, document),
    ...checkNodes(input, document),
    ...checkWorkloads(input, document),
    ...checkServices(input, document),
    ...checkPolicies(input, document),
  ];
}

/** Families of a lab that does not say. */
export const DEFAULT_IP_FAMILIES: readonly IpFamily[] = ['IPv4'];

/** Why a lab cannot have these families; `undefined` when it can. */
export function familiesProblem(lab: {
  readonly era: EraName;
  readonly ipFamilies: readonly IpFamily[];
}): string | undefined {
  if (!lab.ipFamilies.includes('IPv6')) return undefined;
  if (lab.era === 'geneve') {
    return 'Cannot use IPv6 in era "geneve": its redirect has rules for IPv4 only, want [IPv4]';
  }
  return undefined;
}

function checkFamilies(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  const { era = DEFAULT_ERA_NAME } = input;
  const ipFamilies = input.ipFamilies ?? DEFAULT_IP_FAMILIES;
  const problem = familiesProblem({ era, ipFamilies });
  return problem === undefined ? [] : [document.fault(['ipFamilies'], problem)];
}

function checkNodes(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const names = new Set<string>();
  const ranges: { name: string; range: IpRange }[] = [];
  const ipFamilies = input.ipFamilies ?? DEFAULT_IP_FAMILIES;
  for (const [index, node] of input.nodes.entries()) {
    const { name, podRange } = typeof node === 'string' ? { name: node } : node;
    const at = typeof node === 'string' ? ['nodes', index] : ['nodes', index, 'name'];
    if (names.has(name)) faults.push(document.fault(at, `Node "${name}" is defined twice`));
    if (RESERVED_NODE_NAMES.includes(name)) {
      faults.push(document.fault(at, `Cannot name a node "${name}": the lab uses that name`));
    }
    names.add(name);
    const isList = Array.isArray(podRange);
    for (const [position, text] of [podRange ?? []].flat().entries()) {
      const range = parseIpRange(text)!;
      const problem = rangeProblem(name, text, range, ranges, ipFamilies);
      const path = ['nodes', index, 'podRange', ...(isList ? [position] : [])];
      if (problem) faults.push(document.fault(path, problem));
      ranges.push({ name, range });
    }
  }
  if (input.nodes.length > 250) {
    faults.push(document.fault(['nodes'], `${input.nodes.length} nodes, want at most 250`));
  }
  return faults;
}

/** Prefix lengths a pod range may have. */
const POD_RANGE_SIZES = { IPv4: [16, 28], IPv6: [48, 124] } as const;

function rangeProblem(
  node: string,
  text: string,
  range: IpRange,
  others: readonly { readonly name: string; readonly range: IpRange }[],
  ipFamilies: readonly IpFamily[],
): string | undefined {
  const { family, prefix } = range;
  if (!ipFamilies.includes(family)) return notOfLab(family, ipFamilies);
  const [least, most] = POD_RANGE_SIZES[family];
  if (prefix < least || prefix > most) {
    return `Pod range ${text} has the wrong size: want /${least} to /${most}`;
  }
  const own = others.find((one) => one.name === node && one.range.family === family);
  if (own) return `Node "${node}" has an ${family} pod range already`;
  const other = others.find((one) => rangesOverlap(one.range, range));
  if (other) return `Pod range ${text} overlaps the pod range of "${other.name}"`;
  for (const [reserved, owner] of Object.entries(RESERVED_RANGES)) {
    if (rangesOverlap(parseIpRange(reserved)!, range)) return `Pod range ${text} overlaps ${owner}`;
  }
  return undefined;
}

function checkWorkloads(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const policies = (input.policies ?? []).map(({ name, namespace }) => `${namespace}/${name}`);
  for (const [name, workload] of Object.entries(input.workloads ?? {})) {
    const at = ['workloads', name];
    if (workload.app !== undefined && workload.apps !== undefined) {
      faults.push(document.fault([...at, 'app'], 'Give "app" or "apps", not both'));
    }
    const isServing = workload.app !== undefined && workload.app !== 'none';
    if (workload.port !== undefined && !isServing && !workload.command) {
      faults.push(document.fault([...at, 'port'], '"port" belongs to an "app", and there is none'));
    }
    for (const [index, policy] of (workload.policies ?? []).entries()) {
      if (policies.includes(policy)) continue;
      const suggestion = nearest(policy, policies);
      const message = `Unknown policy "${policy}"`;
      faults.push(document.fault([...at, 'policies', index], message, { suggestion }));
    }
    if (workload.env !== undefined && !workload.command) {
      const message = '"env" belongs to a "command", and there is none';
      faults.push(document.fault([...at, 'env'], message));
    }
  }
  return faults;
}

function checkServices(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const workloads = Object.keys(input.workloads ?? {});
  for (const [name, service] of Object.entries(input.services ?? {})) {
    const at = ['services', name];
    const { selector, ports } = service;
    if (typeof selector === 'string' && !workloads.includes(selector)) {
      const suggestion = nearest(selector, workloads);
      const message = `Unknown workload "${selector}"`;
      faults.push(document.fault([...at, 'selector'], message, { suggestion }));
    }
    for (const key of ['clusterIP', 'clusterIPs'] as const) {
      if (!service.headless || service[key] === undefined) continue;
      faults.push(document.fault([...at, key], `A headless service has no "${key}"`));
    }
    if (service.nodePort !== undefined && Object.keys(ports).length !== 1) {
      const message = '"nodePort" wants a service of one port; write the others as a manifest';
      faults.push(document.fault([...at, 'nodePort'], message));
    }
    for (const key of Object.keys(ports)) {
      if (Number(key.split('/')[0]) <= 65535) continue;
      const message = `Not a port "${key}": want 1 to 65535`;
      faults.push(document.fault([...at, 'ports', key], message, { spot: 'key' }));
    }
    if (Object.keys(ports).length === 0) {
      faults.push(document.fault([...at, 'ports'], 'A service wants at least one port'));
    }
  }
  return faults;
}

function checkPolicies(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  const names = new Set<string>();
  return (input.policies ?? []).flatMap(({ name, namespace }, index) => {
    const key = `${namespace}/${name}`;
    const isKnown = names.has(key);
    names.add(key);
    if (!isKnown) return [];
    return [document.fault(['policies', index, 'name'], `Policy "${key}" is defined twice`)];
  });
}
