import type { ScenarioRequest } from '../../../topologies/topology.ts';
import { checkLegs } from '../../judge/check-path.ts';
import { checkSource } from '../../judge/check-client.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { settle, together } from '../finding.ts';
import { HeldConnection } from '../held.ts';
import { addressOf } from './ask.ts';

/** Sidecars as annotations want them, and a pod outside the mesh that calls them. */
const MODES = `
name: claims-sidecar-modes
nodes: [node1, node2]
namespaces: { demo: { mode: sidecar }, legacy: { mode: none } }
workloads:
  plain: { namespace: legacy, node: node1, app: http }
  tproxy:
    { namespace: demo, node: node2, app: http, annotations: { sidecar.istio.io/interceptionMode: TPROXY } }
  usual:
    namespace: demo
    node: node2
    apps: [{ app: http, port: 8080 }, { app: http, port: 8081 }, { app: tcp-echo, port: 9000 }]
  dropping:
    namespace: demo
    node: node2
    app: tcp-echo
    annotations: { proxy.istio.io/config: 'proxyMetadata: { INVALID_DROP: "true" }' }
  asking:
    namespace: demo
    node: node1
    annotations: { proxy.istio.io/config: 'proxyMetadata: { ISTIO_META_DNS_CAPTURE: "true" }' }
  excluding:
    namespace: demo
    node: node1
    apps: [{ app: http, port: 8080 }, { app: http, port: 8081 }]
    annotations:
      traffic.sidecar.istio.io/excludeInboundPorts: '8081'
      traffic.sidecar.istio.io/excludeOutboundPorts: '8081'
      traffic.sidecar.istio.io/excludeOutboundIPRanges: '10.244.1.0/24'
  including:
    namespace: demo
    node: node1
    apps: [{ app: http, port: 8080 }, { app: http, port: 8081 }]
    annotations:
      traffic.sidecar.istio.io/includeInboundPorts: '8080'
      traffic.sidecar.istio.io/includeOutboundPorts: '8081'
      traffic.sidecar.istio.io/includeOutboundIPRanges: '10.96.0.0/16'
`;

const to = (from: string, target: string): ScenarioRequest => ({ from, to: target, count: 1 });

const REQUESTS = {
  redirect: to('plain', 'http://pod:usual:8080/get'),
  tproxy: to('plain', 'http://pod:tproxy:8080/get'),
  excludedIn: to('plain', 'http://pod:excluding:8081/get'),
  notExcludedIn: to('plain', 'http://pod:excluding:8080/get'),
  includedIn: to('plain', 'http://pod:including:8080/get'),
  notIncludedIn: to('plain', 'http://pod:including:8081/get'),
  excludedPort: to('excluding', 'http://pod:usual:8081/get'),
  excludedRange: to('excluding', 'http://pod:plain:8080/get'),
  notExcludedOut: to('excluding', 'http://pod:usual:8080/get'),
  includedPort: to('including', 'http://pod:usual:8081/get'),
  notIncludedOut: to('including', 'http://pod:plain:8080/get'),
} as const;

/** Which way each of them goes, in the notation of topologies. */
const LEGS: Readonly<Partial<Record<keyof typeof REQUESTS, readonly string[]>>> = {
  excludedIn: ['plain -> excluding:8081'],
  notExcludedIn: ['plain -> excluding:15006', 'envoy(excluding) -> excluding:8080'],
  includedIn: ['plain -> including:15006', 'envoy(including) -> including:8080'],
  notIncludedIn: ['plain -> including:8081'],
  excludedPort: ['excluding -> usual:15006', 'envoy(usual) -> usual:8081'],
  excludedRange: ['excluding -> plain:8080'],
  notExcludedOut: [
    'excluding -> envoy(excluding):15001',
    'envoy(excluding) -> usual:15006',
    'envoy(usual) -> usual:8080',
  ],
  includedPort: [
    'including -> envoy(including):15001',
    'envoy(including) -> usual:15006',
    'envoy(usual) -> usual:8081',
  ],
  notIncludedOut: ['including -> plain:8080'],
};

interface Findings {
  readonly sources: Finding;
  readonly ways: Finding;
  readonly invalid: Finding;
  readonly dns: Finding;
}

/** All of them in one world of its own. */
function findings(world: ClaimWorld): Promise<Findings> {
  return world.once('sidecar-modes', () =>
    world.beside('modes', { topology: MODES }, async (aside) => {
      const seen = await aside.observing('modes', REQUESTS);
      const [invalid, dns] = [await invalidIn(aside), await dnsIn(aside)];
      return { sources: sourcesIn(seen), ways: waysIn(seen), invalid, dns };
    }),
  );
}

export async function sourceByMode(world: ClaimWorld): Promise<Finding> {
  return (await findings(world)).sources;
}

export async function includesAndExcludes(world: ClaimWorld): Promise<Finding> {
  return (await findings(world)).ways;
}

export async function invalidIsDropped(world: ClaimWorld): Promise<Finding> {
  return (await findings(world)).invalid;
}

export async function dnsIsCaptured(world: ClaimWorld): Promise<Finding> {
  return (await findings(world)).dns;
}

/** A question that the agent has to pass on: two entries of conntrack, in zones of their own. */
async function dnsIn(aside: ClaimWorld): Promise<Finding> {
  const ask = ['dig', '+time=2', '+tries=1', '+short', 'dns-version.cluster.local', 'TXT'];
  const answer = (await aside.read('asking', ...ask)).trim();
  const entries = (await aside.read('asking', 'conntrack', '-L', '-p', 'udp')).split('\n');
  const of = (zone: number, replyPort: number): string | undefined =>
    entries.find((line) => {
      const ports = [...line.matchAll(/ sport=(\d+)/g)].map(([, port]) => Number(port));
      return (
        line.includes('dport=53 ') && ports[1] === replyPort && line.includes(` zone=${zone} `)
      );
    });
  const [app, agent] = [of(2, 15053), of(1, 53)];
  const evidence = [`the app is told ${answer}`, app ?? 'none of the app', agent ?? 'none of it'];
  const text =
    "the app's question was redirected to 15053 (zone 2), the agent's went to 53 (zone 1)";
  const isSo = answer !== '' && app !== undefined && agent !== undefined;
  return settle(isSo, isSo ? text : evidence.join('; '), { evidence: evidence.map(shortened) });
}

function shortened(line: string): string {
  return line.trim().replace(/ +/g, ' ');
}

function sourcesIn(seen: ClaimWorld): Finding {
  const redirect = checkSource(seen.facts, seen.path('redirect'), '127.0.0.6');
  const tproxy = checkSource(seen.facts, seen.path('tproxy'), 'plain');
  return together(
    { ...redirect, text: `REDIRECT: ${redirect.text}` },
    { ...tproxy, text: `TPROXY: ${tproxy.text}` },
  );
}

function waysIn(seen: ClaimWorld): Finding {
  const checks = Object.entries(LEGS).map(([name, legs]) => {
    const check = checkLegs(seen.facts, seen.path(name), legs);
    return { ...check, evidence: [`${name}: ${check.seen}`] };
  });
  const all = together(...checks);
  if (all.outcome !== 'holds') return all;
  return { ...all, text: `${checks.length} ways as the annotations of four pods want them` };
}

/**
 * A packet in the middle of a connection that conntrack no longer knows is invalid to it. It is not
 * redirected then: the pod has no socket for it and resets, unless it is dropped before.
 */
async function invalidIn(aside: ClaimWorld): Promise<Finding> {
  const ends = await Promise.all(
    ['usual', 'dropping'].map(async (pod) => {
      const address = addressOf(aside, pod);
      await using held = await HeldConnection.open(aside.lab, 'plain', address, 9000, 4_000);
      const forget =
        'echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose; ' +
        `conntrack -D -p tcp --orig-dst ${address} --dport 9000`;
      await aside.read(pod, 'sh', '-c', forget);
      return `${pod}: ${(await held.ended()).end}`;
    }),
  );
  const dropped = await aside.read('dropping', 'iptables', '-t', 'mangle', '-vxnL', 'ISTIO_DROP');
  const count = Number(/^\s*(\d+)\s.*DROP/m.exec(dropped)?.[1] ?? 0);
  const evidence = [...ends, `ISTIO_DROP of dropping has dropped ${count} packets`];
  const text = `without INVALID_DROP ECONNRESET, with it ${count} packets dropped and no reset`;
  const isSo = ends.join() === 'usual: ECONNRESET,dropping: open' && count > 0;
  return settle(isSo, isSo ? text : evidence.join('; '), { evidence });
}
