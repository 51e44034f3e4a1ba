import type { ScenarioRequest } from '../../topologies/topology.ts';

const to = (from: string, target: string, count = 1): ScenarioRequest => ({
  from,
  to: target,
  count,
});

/** Requests of the one recording that all claims of an era share, by the name claims use. */
export const CLAIM_REQUESTS = {
  far: to('client', 'http://far.demo/get'),
  near: to('client', 'http://pod:near:8080/get'),
  pool: to('client', 'http://pod:far:8080/get', 3),
  other: to('near', 'http://pod:far:8080/get'),
  plainIn: to('bystander', 'http://pod:far:8080/get'),
  plainOther: to('bystander', 'tcp://pod:far:9000'),
  plainNear: to('stranger', 'http://pod:far:8080/get'),
  plainOut: to('client', 'http://pod:stranger:8080/get'),
  probe: to('node2', 'http://pod:far:8080/get'),
  self: to('far', 'http://self:8080/get'),
  loopback: to('client', 'http://127.0.0.1:8080/get'),
  udp: to('client', 'udp://pod:far:9001'),
  closed: to('client', 'tcp://pod:far:9999'),
  admitted: to('client', 'http://pod:vault:8080/get'),
  refused: to('near', 'http://pod:vault:8080/get'),
  strictMesh: to('client', 'http://pod:strict:8080/get'),
  strictPlain: to('bystander', 'http://pod:strict:8080/get'),
  ajarMesh: to('client', 'http://pod:ajar:8081/get'),
  ajarPlain: to('bystander', 'http://pod:ajar:8080/get'),
  ajarRefused: to('bystander', 'http://pod:ajar:8081/get'),
  gatePlain: to('bystander', 'http://pod:gate:8080/get'),
  gateMesh: to('client', 'http://pod:gate:8080/get'),
  gateOut: to('gate', 'http://pod:far:8080/get'),
  guestOut: to('vm-guest', 'http://pod:far:8080/get'),
  plainHbone: to('bystander', 'tcp://pod:far:15008'),
  // Of the world with pods of every kind (`topologies/mixed.yaml`), which era sidecar has.
  plainPair: to('plain', 'http://plain-far.legacy:8000/get'),
  sidecarPair: to('sidecar', 'http://sidecar-far.sidecars:8000/get'),
  sidecarByIp: to('sidecar', 'http://pod:sidecar-far:8080/get'),
  ambientPair: to('captured', 'http://captured-far.ambient:8000/get'),
  ambientToSidecar: to('captured', 'http://sidecar-far.sidecars:8000/get'),
  ambientToOld: to('captured', 'http://old-far.sidecars:8000/get'),
  sidecarToAmbient: to('sidecar', 'http://captured-far.ambient:8000/get'),
  oldToAmbient: to('old', 'http://captured-far.ambient:8000/get'),
} as const satisfies Readonly<Record<string, ScenarioRequest>>;

export type ClaimRequestName = keyof typeof CLAIM_REQUESTS;

const dig = (...args: readonly string[]): readonly string[] => [
  'dig',
  '+time=1',
  '+tries=1',
  ...args,
];

/** Programs that run in a pod during the shared recording, beside the requests. */
export const CLAIM_ACTIONS = {
  dnsUdp: { in: 'client', argv: dig('udp-asked.example') },
  dnsTcp: { in: 'client', argv: dig('+tcp', 'tcp-asked.example') },
  dnsLoop: { in: 'client', argv: dig('@127.0.0.53', 'loop-asked.example') },
} as const;

export type ClaimActionName = keyof typeof CLAIM_ACTIONS;
