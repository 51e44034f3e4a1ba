import type { EgressRule, IngressRule, NetworkPolicy } from '../../topologies/network-policy.ts';
import { asHost } from '../plan/families.ts';
import { chainName } from '../plan/hash.ts';
import type { PolicyCluster, PolicyPod } from './cluster.ts';
import { hasNamedPort, rangeAt, reachOf, type PortRange, type Reach } from './peers.ts';
import { INGRESS_CHAIN, type PolicyMatch, type PolicyRule, type PolicyVerdict } from './rule.ts';

export type Direction = 'ingress' | 'egress';

/** One rule of a policy as a chain: packets it admits end there, others come back from it. */
export interface Allowance {
  readonly chain: string;
  readonly label: string;
  readonly rules: readonly PolicyRule[];
}

/**
 * The chains of one policy for one pod. Pods for which a rule means the same share its chain; where
 * ports are called by name, it may mean other ports at each pod.
 */
export function allowancesOf(
  policy: NetworkPolicy,
  direction: Direction,
  pod: PolicyPod,
  cluster: PolicyCluster,
): readonly Allowance[] {
  const { metadata, spec } = policy;
  const name = `${metadata.namespace ?? 'default'}/${metadata.name}`;
  const rules = direction === 'ingress' ? spec.ingress : spec.egress;
  return (rules ?? []).map((rule, index) => {
    const label = `${name} ${direction} ${index + 1}`;
    const isOwn = direction === 'ingress' && hasNamedPort(rule.ports);
    const chain = chainName('NP-RULE-', label, isOwn ? portsText(rule, pod) : '');
    const why = `Rule ${index + 1} for ${direction} of the policy ${name}`;
    const admit = admission({ chain, label, why, direction });
    return { chain, label, rules: admissions(rule, policy, direction, pod, cluster, admit) };
  });
}

type Rule = IngressRule & EgressRule;

function portsText({ ports }: Rule, { namedPorts }: PolicyPod): string {
  return JSON.stringify((ports ?? []).map((port) => rangeAt(port, namedPorts)));
}

interface Admission {
  readonly chain: string;
  readonly label: string;
  readonly why: string;
  readonly direction: Direction;
}

type Admit = (reach: Reach | undefined, range: PortRange | undefined) => readonly PolicyRule[];

function admissions(
  rule: Rule,
  policy: NetworkPolicy,
  direction: Direction,
  pod: PolicyPod,
  cluster: PolicyCluster,
  admit: Admit,
): readonly PolicyRule[] {
  const reach = reachOf(direction === 'ingress' ? rule.from : rule.to, policy, cluster);
  const ends = reach ?? [undefined];
  if (!rule.ports || rule.ports.length === 0) return ends.flatMap((end) => admit(end, undefined));
  return rule.ports.flatMap((port) => {
    if (direction === 'egress' && typeof port.port === 'string') {
      // The name is looked up where the connection goes to; addresses without a pod have no names.
      const pods = reach ?? cluster.pods.map((each): Reach => ({ kind: 'pod', pod: each }));
      return pods.flatMap((end) => {
        const range = end.kind === 'pod' ? rangeAt(port, end.pod.namedPorts) : undefined;
        return range === undefined ? [] : admit(end, range);
      });
    }
    const range = rangeAt(port, pod.namedPorts);
    return range === undefined ? [] : ends.flatMap((end) => admit(end, range));
  });
}

function admission({ chain, label, why, direction }: Admission): Admit {
  const verdict: PolicyVerdict =
    direction === 'ingress' ? { kind: 'accept' } : { kind: 'jump', chain: INGRESS_CHAIN };
  const end = direction === 'ingress' ? 'source' : 'destination';
  return (reach, range) => {
    const where = whereText(reach, direction);
    const admitted = `${why} admits ${range ? portText(range) : 'everything'} ${where}.`;
    const ports: PolicyMatch = range ?? {};
    if (reach === undefined) return [{ chain, match: ports, verdict, label, why: admitted }];
    if (reach.kind === 'pod') {
      return reach.pod.addresses.map((address) => {
        const match = { [end]: asHost(address), ...ports };
        return { chain, match, verdict, label, why: admitted };
      });
    }
    const match = { [end]: reach.cidr, ...ports };
    if (reach.except.length === 0) return [{ chain, match, verdict, label, why: admitted }];
    const inner = chainName('NP-BLOCK-', label, JSON.stringify([reach, range]));
    const excepted = reach.except.map((part): PolicyRule => ({
      chain: inner,
      match: { [end]: part },
      verdict: { kind: 'return' },
      label,
      why: `${why} admits ${reach.cidr}, but for ${part}.`,
    }));
    return [
      { chain, match, verdict: { kind: 'jump', chain: inner }, label, why: admitted },
      ...excepted,
      { chain: inner, match: {}, verdict, label, why: admitted },
    ];
  };
}

function whereText(reach: Reach | undefined, direction: Direction): string {
  const word = direction === 'ingress' ? 'from' : 'to';
  if (reach === undefined) return `${word} anywhere`;
  if (reach.kind === 'pod') return `${word} ${reach.pod.namespace}/${reach.pod.name}`;
  const except = reach.except.length > 0 ? ` without ${reach.except.join(', ')}` : '';
  return `${word} ${reach.cidr}${except}`;
}

function portText({ protocol, ports }: PortRange): string {
  if (ports === undefined) return protocol.toUpperCase();
  const [first, last] = ports;
  return `${protocol.toUpperCase()} ${first === last ? first : `${first} to ${last}`}`;
}
