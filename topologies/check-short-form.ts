import type { TopologyFault } from './errors.ts';
import { overlaps, parseCidr, type Ipv4Range } from './ipv4.ts';
import { nearest } from './nearest.ts';
import { RESERVED_RANGES } from './ranges.ts';
import type { TopologyInput } from './schema.ts';
import type { SourceDocument } from './source.ts';

/** Names that words of scenarios and commands mean something else by. */
const RESERVED_NODE_NAMES = ['fabric', 'outside', 'self', 'ztunnel', 'all'];

/** Faults inside the topology file itself that a schema cannot express. */
export function checkShortForm(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  return [
    ...checkNodes(input, document),
    ...checkNamespaces(input, document),
    ...checkWorkloads(input, document),
    ...checkServices(input, document),
    ...checkPolicies(input, document),
  ];
}

function checkNodes(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  const faults: TopologyFault[] = [];
  const names = new Set<string>();
  const ranges: { name: string; range: Ipv4Range }[] = [];
  for (const [index, node] of input.nodes.entries()) {
    const { name, podRange } = typeof node === 'string' ? { name: node } : node;
    const at = typeof node === 'string' ? ['nodes', index] : ['nodes', index, 'name'];
    if (names.has(name)) faults.push(document.fault(at, `Node "${name}" is defined twice`));
    if (RESERVED_NODE_NAMES.includes(name)) {
      faults.push(document.fault(at, `Cannot name a node "${name}": the lab uses that name`));
    }
    names.add(name);
    if (podRange === undefined) continue;
    const range = parseCidr(podRange)!;
    const problem = rangeProblem(podRange, range, ranges);
    if (problem) faults.push(document.fault(['nodes', index, 'podRange'], problem));
    ranges.push({ name, range });
  }
  if (input.nodes.length > 250) {
    faults.push(document.fault(['nodes'], `${input.nodes.length} nodes, want at most 250`));
  }
  return faults;
}

function rangeProblem(
  text: string,
  range: Ipv4Range & { readonly prefix: number },
  others: readonly { readonly name: string; readonly range: Ipv4Range }[],
): string | undefined {
  if (range.prefix < 16 || range.prefix > 28) {
    return `Pod range ${text} has the wrong size: want /16 to /28`;
  }
  const other = others.find((one) => overlaps(one.range, range));
  if (other) return `Pod range ${text} overlaps the pod range of "${other.name}"`;
  for (const [reserved, owner] of Object.entries(RESERVED_RANGES)) {
    if (overlaps(parseCidr(reserved)!, range)) return `Pod range ${text} overlaps ${owner}`;
  }
  return undefined;
}

function checkNamespaces(input: TopologyInput, document: SourceDocument): TopologyFault[] {
  return Object.entries(input.namespaces ?? {})
    .filter(([, { mode }]) => mode === 'sidecar')
    .map(([name]) =>
      document.fault(
        ['namespaces', name, 'mode'],
        'Cannot use mode "sidecar": sidecars cannot be built yet, want "ambient" or "none"',
      ),
    );
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
    if (service.headless && service.clusterIP !== undefined) {
      faults.push(document.fault([...at, 'clusterIP'], 'A headless service has no "clusterIP"'));
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
