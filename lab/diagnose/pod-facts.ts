import type { PlacedRule } from '../../dataplane/redirect/diff.ts';
import { ipArguments } from '../../dataplane/redirect/routing.ts';
import type { RulesReading } from '../run/read-rules.ts';
import type { Evidence, Listener, NodeEvidence, PodEvidence } from './evidence.ts';

/** Ports that a ztunnel listens on in each pod that it serves. */
const ZTUNNEL_PORTS = [15001, 15006, 15008] as const;

/** How the redirect of a pod stands in its kernel. */
export interface RulesState {
  /** `some`: others of it are missing; `none`: there is nothing at all. */
  readonly present: 'all' | 'some' | 'none';
  /** Rules and routes that are missing, one line each. */
  readonly missing: readonly string[];
  /** Rules that are there more often than wanted. */
  readonly extra: readonly PlacedRule[];
}

/** The name of a pod in messages and commands. */
export function nameOf({ pod }: PodEvidence): string {
  return `${pod.namespace}/${pod.name}`;
}

/** Pods in whose own namespaces the mesh should be: none in era geneve, whose redirect is on the nodes. */
export function wishedPods({ plan, pods }: Evidence): readonly PodEvidence[] {
  return plan.era === 'geneve' ? [] : pods.filter(({ isWished }) => isWished);
}

/** The node that a pod is on. @throws when the evidence lacks it */
export function nodeOf({ nodes }: Evidence, { pod }: PodEvidence): NodeEvidence {
  const found = nodes.find(({ node }) => node.name === pod.node);
  if (found === undefined) throw new Error(`Cannot find node "${pod.node}" in the evidence`);
  return found;
}

/** Rules of both families, and the routing that belongs to them. */
export function rulesStateOf(pod: PodEvidence): RulesState {
  // Without IPv6 there are no routes of it: another cause, told by itself.
  const { ipv6, ...rules } = pod.rules;
  return stateOf(isIpv6Off(pod) ? rules : { ...rules, ...(ipv6 && { ipv6 }) });
}

/** The same of any place. */
export function stateOf(rules: RulesReading): RulesState {
  const { ipv6 } = rules;
  const drifts = [rules.drift, ipv6?.drift].flatMap((drift) => drift ?? []);
  const routing = [...rules.missingRouting, ...(ipv6?.missingRouting ?? [])];
  const missing = [
    ...drifts.flatMap((drift) => drift.missing.map(showRule)),
    ...routing.map((entry) => `ip ${ipArguments(entry, 'add').join(' ')}`),
  ];
  const wantedRouting = rules.routing.length + (ipv6?.routing.length ?? 0);
  const isNone = drifts.every(({ hasResidue }) => !hasResidue) && routing.length === wantedRouting;
  return {
    present: missing.length === 0 ? 'all' : isNone ? 'none' : 'some',
    missing,
    extra: drifts.flatMap(({ extra }) => extra),
  };
}

/** Whether IPv6 is switched off in the pod's kernel, for all links or for loopback. */
export function isIpv6Off({ settings }: PodEvidence): boolean {
  return ['all', 'lo'].some((link) => settings[`net.ipv6.conf.${link}.disable_ipv6`] === '1');
}

/** `nat OUTPUT: -j ISTIO_OUTPUT` */
export function showRule({ table, chain, text }: PlacedRule): string {
  return `${table} ${chain}: ${text}`;
}

/** Sockets of the pod that the node's ztunnel listens on. */
export function ztunnelListeners(
  { listeners }: PodEvidence,
  { ztunnel }: NodeEvidence,
): readonly Listener[] {
  return listeners.filter(
    ({ port, pid }) => ztunnel.pid !== undefined && pid === ztunnel.pid && isZtunnelPort(port),
  );
}

/** Sockets on ztunnel's ports that are somebody else's. */
export function foreignListeners(
  { listeners }: PodEvidence,
  { ztunnel }: NodeEvidence,
): readonly Listener[] {
  return listeners.filter(({ port, pid }) => isZtunnelPort(port) && pid !== ztunnel.pid);
}

function isZtunnelPort(port: number): boolean {
  return (ZTUNNEL_PORTS as readonly number[]).includes(port);
}

/** At most `count` lines, and how many more there are. */
export function someOf(lines: readonly string[], count = 4): readonly string[] {
  if (lines.length <= count) return lines;
  return [...lines.slice(0, count), `… and ${lines.length - count} more`];
}
