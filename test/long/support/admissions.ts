import type { Plan } from '../../../lab/plan/plan.ts';
import { addressesOf, asHost, nodeAddresses } from '../../../lab/plan/families.ts';
import { parseTopology } from '../../../topologies/load.ts';
import type {
  IngressRule,
  NetworkPolicy,
  NetworkPolicySpec,
} from '../../../topologies/network-policy.ts';
import type { KubernetesObject } from '../../../topologies/objects.ts';
import type { Topology } from '../../../topologies/topology.ts';

/** One request and whether the policies admit it. */
export interface Admission {
  readonly from: string;
  readonly to: string;
  readonly isAdmitted: boolean;
  readonly why: string;
}

/** Each has a policy of its own, or none: `t-open`. */
const TARGETS = [
  ...['open', 'pod', 'namespace', 'both', 'block', 'port', 'range', 'named', 'udp', 'union'],
  ...['nobody', 'far'],
];
const APPS =
  'apps: [{ app: http, port: 8080 }, { app: http, port: 8081 }, { app: udp-echo, port: 9001 }]';

/**
 * Clients `one`, `three` (other namespace) and `two` (namespace of the red team) far away, `near` on
 * the node of the targets; `out-*` are isolated for egress. Nobody is in the mesh: what policies say
 * is told by plain packets.
 */
export function admissionTopology(): Topology {
  const targets = TARGETS.map(
    (name) => `  t-${name}: { namespace: a, node: ${name === 'far' ? 'node1' : 'node2'}, ${APPS} }`,
  );
  const text = `
name: admissions
ipFamilies: [IPv4, IPv6]
nodes: [node1, node2]
namespaces: { a: {}, b: { labels: { team: red } }, c: {} }
workloads:
  one: { namespace: a, node: node1 }
  near: { namespace: a, node: node2 }
  two: { namespace: b, node: node1 }
  three: { namespace: c, node: node1 }
  out-port: { namespace: a, node: node2 }
  out-block: { namespace: a, node: node1 }
  out-nothing: { namespace: a, node: node1 }
${targets.join('\n')}
`;
  const topology = parseTopology(text, 'admissions.yaml');
  return { ...topology, objects: topology.objects.map(withNamedPorts) };
}

/** The short form has no names for ports: here each is called after its number. */
function withNamedPorts(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Pod') return object;
  const containers = object.spec.containers.map((container) => ({
    ...container,
    ports: (container.ports ?? []).map((port) => ({ ...port, name: `p${port.containerPort}` })),
  }));
  return { ...object, spec: { ...object.spec, containers } };
}

const pod = (name: string) => ({ podSelector: { matchLabels: { app: name } } });
const RED = { namespaceSelector: { matchLabels: { team: 'red' } } };

/** Policies of the targets and of the clients that are isolated for egress. */
export function policiesOf(plan: Plan): readonly NetworkPolicy[] {
  const [one, two] = ['one', 'two'].map((name) => plan.pods.find((each) => each.name === name)!);
  // All of node1 but for `two`, one block a family.
  const blocks = nodeAddresses(plan.nodes[0]!).map(({ podRange }, index) => ({
    ipBlock: { cidr: podRange, except: [asHost(addressesOf(two!)[index]!)] },
  }));
  const toOne = addressesOf(one!).map((address) => ({ ipBlock: { cidr: asHost(address) } }));
  const into = (target: string, rule: IngressRule, suffix = ''): NetworkPolicy =>
    policy(`${target}${suffix}`, { ...pod(`t-${target}`), ingress: [rule] });
  const outOf = (client: string, egress: NetworkPolicySpec['egress']): NetworkPolicy =>
    policy(client, { ...pod(client), policyTypes: ['Egress'], egress: egress ?? [] });
  return [
    into('pod', { from: [pod('one')] }),
    into('namespace', { from: [RED] }),
    into('both', { from: [{ ...RED, ...pod('one') }] }),
    into('block', { from: blocks }),
    into('port', { ports: [{ port: 8081 }] }),
    into('range', { ports: [{ port: 8000, endPort: 8080 }] }),
    into('named', { ports: [{ port: 'p8080' }] }),
    into('udp', { ports: [{ protocol: 'UDP', port: 9001 }] }),
    into('union', { from: [pod('one')] }, '-one'),
    into('union', { from: [pod('near')] }, '-near'),
    policy('nobody', pod('t-nobody')),
    into('far', { from: [pod('near')] }),
    outOf('out-port', [{ to: [pod('t-open')], ports: [{ port: 8080 }] }]),
    outOf('out-block', [{ to: toOne }, { to: [pod('t-port')], ports: [{ port: 'p8081' }] }]),
    outOf('out-nothing', []),
  ];
}

function policy(name: string, spec: NetworkPolicySpec): NetworkPolicy {
  const metadata = { name, namespace: 'a' };
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec };
}

const admitted = (from: string, target: string, why: string, port = 8080): Admission => ({
  ...{ from, why, isAdmitted: true },
  to: port === 9001 ? `udp://pod:a/t-${target}:9001` : `http://pod:a/t-${target}:${port}/get`,
});
const denied = (...words: Parameters<typeof admitted>): Admission => ({
  ...admitted(...words),
  isAdmitted: false,
});

export const ADMISSIONS: readonly Admission[] = [
  admitted('three', 'open', 'no policy selects it'),
  admitted('one', 'pod', 'its label'),
  denied('near', 'pod', 'another label, same node'),
  denied('three', 'pod', 'another namespace'),
  admitted('two', 'namespace', 'its namespace has the label'),
  denied('one', 'namespace', 'its own namespace is not named'),
  denied('two', 'both', 'the namespace, but not the label'),
  denied('one', 'both', 'the label, but not the namespace'),
  admitted('one', 'block', 'in the block'),
  admitted('three', 'block', 'in the block, whatever its namespace'),
  denied('two', 'block', 'excepted from the block'),
  denied('near', 'block', 'outside the block'),
  admitted('one', 'port', 'the port', 8081),
  denied('one', 'port', 'another port'),
  admitted('near', 'range', 'the last port of the range'),
  denied('near', 'range', 'behind the range', 8081),
  admitted('one', 'named', 'the port of that name'),
  denied('one', 'named', 'another name', 8081),
  admitted('one', 'udp', 'the protocol and port', 9001),
  denied('one', 'udp', 'another protocol'),
  admitted('one', 'union', 'the first policy admits it'),
  admitted('near', 'union', 'the second policy admits it'),
  denied('two', 'union', 'none of the two does'),
  denied('near', 'nobody', 'isolated, and nothing admitted'),
  admitted('near', 'far', 'admitted from the other node'),
  denied('one', 'far', 'not named, same node'),
  admitted('out-port', 'open', 'the one way out, same node'),
  denied('out-port', 'open', 'another port', 8081),
  denied('out-port', 'far', 'another pod'),
  admitted('out-block', 'port', 'the port of that name at the other end', 8081),
  denied('out-block', 'open', 'not named'),
  denied('out-nothing', 'open', 'nothing may leave'),
];
