import { HOST_PROBE_IPV4 } from '../../dataplane/redirect/constants.ts';
import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import type { Plan } from '../plan/plan.ts';

/** One kind of traffic that the rules of an enrolled pod may carry. */
export interface Probe {
  readonly name: string;
  /** What the traffic is, for the reader of the table. */
  readonly title: string;
  readonly from: string;
  readonly to: string;
  /** A question about a name instead of a request. */
  readonly dns?: 'dns-udp' | 'dns-tcp';
}

/** What one probe came to, in words that are compared: a mutation breaks a probe when they change. */
export interface ProbeResult {
  readonly name: string;
  /** `200`, `curl 28 (timeout)`, `no answer`. */
  readonly outcome: string;
  /** Address that the app saw. */
  readonly source?: string;
  /** Ends of ztunnels that carried it, in order; empty: none did. */
  readonly way: readonly string[];
  /** Where ztunnel was asked to go, when it was. */
  readonly wanted?: string;
  /** Era geneve: what of it crossed a tunnel towards a ztunnel, `the SYN alone`. */
  readonly tunnel?: string;
  readonly durationMs: number;
}

const POD_NAME = '10-244-1-1.demo.pod.cluster.local';

/** The probes of `topologies/mutation.yaml`. */
export function probesOf(plan: Plan): readonly Probe[] {
  const http = (name: string, title: string, from: string, to: string): Probe => ({
    name,
    title,
    from,
    to,
  });
  const legacy = plan.pods.find(({ name }) => name === 'legacy')?.address ?? '';
  const question = (
    name: string,
    title: string,
    dns: 'dns-udp' | 'dns-tcp',
    server: string,
    host: string,
  ): Probe => ({ name, title, from: 'client', to: `${server} ${host}`, dns });
  const service = 'far.demo.svc.cluster.local';
  return [
    http('same-node', 'pod to pod, same node', 'client', 'http://pod:near:8080/get'),
    http('other-node', 'pod to pod, other node', 'client', 'http://pod:far:8080/get'),
    http('service', 'pod to service', 'client', 'http://far.demo:8000/get'),
    http('no-endpoint', 'pod to service without endpoints', 'client', 'http://empty.demo:8000/get'),
    http('strict', 'pod to pod that wants mTLS', 'client', 'http://pod:strict:8080/get'),
    http('plain-in', 'pod outside the mesh to pod', 'legacy', 'http://pod:far:8080/get'),
    http(
      'plain-strict',
      'pod outside to one that wants mTLS',
      'legacy',
      'http://pod:strict:8080/get',
    ),
    http('plain-out', 'pod to pod outside the mesh', 'client', 'http://pod:legacy:8080/get'),
    http('egress', 'pod to an address outside', 'client', 'http://outside:8080/get'),
    http(
      'node-port',
      'from outside by a node port',
      'outside',
      `http://node:${nodePortOf(plan)}:30080/get`,
    ),
    http('ingress-plain', 'plain text to an ingress pod', 'legacy', 'http://pod:ingress:8080/get'),
    http('ingress-hbone', 'HBONE to an ingress pod', 'client', 'http://pod:ingress:8080/get'),
    http('node-probe', "the node's probe of a pod", 'node2', 'http://pod:far:8080/status/200'),
    http(
      'strict-probe',
      'probe of a pod that wants mTLS',
      'node2',
      'http://pod:strict:8080/status/200',
    ),
    http('own-address', 'pod to its own address', 'client', 'http://self:8080/get'),
    http('loopback', 'pod to 127.0.0.1', 'client', 'http://127.0.0.1:8080/get'),
    http('udp', 'UDP that is not DNS', 'client', 'udp://pod:far:9001'),
    question('dns-udp', 'DNS by UDP, to a server that is not there', 'dns-udp', legacy, service),
    question('dns-tcp', 'DNS by TCP, to a server that is not there', 'dns-tcp', legacy, service),
    question(
      'dns-upstream',
      'DNS that ztunnel must ask for',
      'dns-udp',
      plan.dnsServiceIp,
      podName(plan),
    ),
  ];
}

/**
 * In era geneve the pod's own node cannot serve its node port: kube-proxy hides the client behind the
 * address of the tunnel that the route leads into, and answers to that address end on the node.
 */
function nodePortOf(plan: Plan): string {
  return plan.era === 'geneve' ? 'node1' : 'node2';
}

/** A name only the cluster's DNS knows (Kubernetes DNS specification 1.1.0, §2.3.1 of pods). */
function podName(plan: Plan): string {
  const pod = plan.pods.find(({ name }) => name === 'far');
  if (pod === undefined) return POD_NAME;
  return `${pod.address.replaceAll('.', '-')}.${pod.namespace}.pod.${plan.clusterDomain}`;
}

/** Legs of a request, by its client's address and the one its app saw. */
export function legsOf(
  legs: readonly LegRecord[],
  local: string | undefined,
  seen: string | undefined,
): readonly LegRecord[] {
  return legs.filter(
    (leg) =>
      (local !== undefined && isPeer(leg.accepted.peer, local)) ||
      (seen !== undefined && leg.upstream?.local === seen),
  );
}

/** Ends of ztunnels that a request passed. */
export function wayOf(legs: readonly LegRecord[]): readonly string[] {
  const ends = legs.map(({ direction, pod }) => `${direction} at ${pod}`);
  return [...new Set(ends)].sort((a, b) => Number(a.startsWith('in')) - Number(b.startsWith('in')));
}

/** The client itself, or the client under the address that probes of the node wear. */
function isPeer(peer: string, local: string): boolean {
  return peer === local || peer === `${HOST_PROBE_IPV4}:${portOf(local)}`;
}

function portOf(peer: string): string {
  return peer.slice(peer.lastIndexOf(':') + 1);
}

/** What is other now than before, in a few words each; empty when nothing is. */
export function changesOf(before: ProbeResult, after: ProbeResult): readonly string[] {
  const way = (result: ProbeResult): string =>
    result.way.length === 0 ? 'past every ztunnel' : result.way.join(', ');
  if (before.outcome !== after.outcome) return [`${after.outcome}, was ${before.outcome}`];
  const source = [after.source ?? 'nobody', before.source ?? 'nobody'] as const;
  const seen = source[0] === source[1] ? [] : [`the app sees ${source[0]}, was ${source[1]}`];
  if (way(before) !== way(after)) return [...seen, `${way(after)}; was ${way(before)}`];
  const wanted = [after.wanted ?? 'nothing', before.wanted ?? 'nothing'] as const;
  const tunnel = [after.tunnel ?? 'nothing', before.tunnel ?? 'nothing'] as const;
  return [
    ...seen,
    ...(wanted[0] === wanted[1] ? [] : [`ztunnel is asked for ${wanted[0]}, was ${wanted[1]}`]),
    ...(tunnel[0] === tunnel[1] ? [] : [`the tunnel carries ${tunnel[0]}, was ${tunnel[1]}`]),
  ];
}
