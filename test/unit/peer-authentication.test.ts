import { join } from 'node:path';
import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { mtlsModesOf, peerAuthenticationsOf } from '../../lab/plan/peer-authentication.ts';
import {
  policiesOfPeerAuthentication,
  policyNamesFor,
} from '../../lab/plan/peer-authentication-policies.ts';
import { parseTopology } from '../../topologies/load.ts';
import type {
  PeerAuthentication,
  PeerAuthenticationSpec,
} from '../../topologies/peer-authentication.ts';

const POD = { namespace: 'ns1', labels: { app: 'a' } };
const NOBODY = { notPrincipals: [{ tag: 'Presence', value: [] }] };
const STRICT = { mode: 'STRICT' } as const;
const PERMISSIVE = { mode: 'PERMISSIVE' } as const;
const DISABLE = { mode: 'DISABLE' } as const;

function authentication(
  namespace: string,
  spec: PeerAuthenticationSpec,
  name = 'it',
): PeerAuthentication {
  const kind = 'PeerAuthentication';
  return { apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace }, spec };
}

function workload(spec: PeerAuthenticationSpec): PeerAuthentication {
  return authentication('ns1', { selector: { matchLabels: { app: 'a' } }, ...spec });
}

const MESH_STRICT = authentication('istio-system', { mtls: STRICT }, 'default');

/** Goldens of Istio, `pilot/pkg/serviceregistry/ambient/testdata/peer-authn-*.yaml`. */
const CASES: readonly (readonly [
  name: string,
  objects: readonly PeerAuthentication[],
  rules: readonly unknown[] | undefined,
])[] = [
  ['strict', [workload({ mtls: STRICT })], undefined],
  [
    'strict, port 9090 permissive',
    [workload({ mtls: STRICT, portLevelMtls: { 9090: PERMISSIVE } })],
    [[[NOBODY], [{ notDestinationPorts: [9090] }]]],
  ],
  [
    'strict, port 9090 disabled',
    [workload({ mtls: STRICT, portLevelMtls: { 9090: DISABLE } })],
    [[[NOBODY], [{ notDestinationPorts: [9090] }]]],
  ],
  [
    'strict, one port strict and one permissive',
    [workload({ mtls: STRICT, portLevelMtls: { 9090: STRICT, 8080: PERMISSIVE } })],
    [[[NOBODY], [{ notDestinationPorts: [8080] }]]],
  ],
  [
    'strict, all ports strict',
    [workload({ mtls: STRICT, portLevelMtls: { 9090: STRICT } })],
    undefined,
  ],
  [
    'permissive, port 9090 strict, others permissive',
    [workload({ mtls: PERMISSIVE, portLevelMtls: { 9090: STRICT, 8080: PERMISSIVE } })],
    [[[{ ...NOBODY, destinationPorts: [9090] }]]],
  ],
  [
    'unset, port 8080 strict',
    [workload({ portLevelMtls: { 8080: STRICT } })],
    [[[{ ...NOBODY, destinationPorts: [8080] }]]],
  ],
  [
    'unset in a strict mesh, one port strict and one permissive',
    [MESH_STRICT, workload({ portLevelMtls: { 8080: STRICT, 9090: PERMISSIVE } })],
    [[[NOBODY], [{ notDestinationPorts: [9090] }]]],
  ],
];

t.test('policiesOfPeerAuthentication() gives ztunnel what istiod would', (t) => {
  for (const [name, objects, rules] of CASES) {
    const policies = policiesOfPeerAuthentication(objects);
    t.match(policies[0], { name: 'istio_converted_static_strict', namespace: 'istio-system' });
    t.same(policies[0]?.rules, [[[NOBODY]]], `${name}: the static policy is there`);
    const own = policies.find(({ namespace }) => namespace === 'ns1');
    t.same(own?.rules, rules, name);
    const names = policyNamesFor(POD, objects);
    const wished =
      rules === undefined
        ? 'istio-system/istio_converted_static_strict'
        : 'ns1/converted_peer_authentication_it';
    t.same(names, [wished], `${name}: the pod names it`);
  }
  t.same(policiesOfPeerAuthentication([]), [], 'nothing without an object');
  t.end();
});

t.test('mtlsModesOf() takes the narrowest scope, and what is unset from the one around', (t) => {
  const open = authentication('ns1', { mtls: PERMISSIVE }, 'default');
  t.same(mtlsModesOf(POD, []), { mode: 'PERMISSIVE', ports: {} });
  t.same(mtlsModesOf(POD, [MESH_STRICT]).mode, 'STRICT');
  t.same(mtlsModesOf(POD, [MESH_STRICT, open]).mode, 'PERMISSIVE');
  const unset = authentication('ns1', { mtls: { mode: 'UNSET' } }, 'default');
  t.same(mtlsModesOf(POD, [MESH_STRICT, unset]).mode, 'STRICT');
  const ports = workload({ portLevelMtls: { 80: PERMISSIVE, 81: { mode: 'UNSET' } } });
  t.same(mtlsModesOf(POD, [MESH_STRICT, ports]), {
    mode: 'STRICT',
    ports: { 80: 'PERMISSIVE', 81: 'STRICT' },
  });
  const other = { ...POD, labels: { app: 'b' } };
  t.same(mtlsModesOf(other, [MESH_STRICT, ports]).ports, {}, 'another workload is not meant');
  const inRoot = authentication('istio-system', {
    selector: { matchLabels: { app: 'a' } },
    mtls: STRICT,
  });
  t.same(mtlsModesOf(POD, [inRoot]).mode, 'PERMISSIVE', 'a selector in the root namespace is void');
  t.end();
});

t.test('peerAuthenticationsOf() has the oldest first', (t) => {
  const aged = (name: string, creationTimestamp: string): PeerAuthentication => {
    const one = authentication('ns1', { mtls: STRICT }, name);
    return { ...one, metadata: { ...one.metadata, ...{ creationTimestamp } } };
  };
  const young = aged('young', '2026-02-01T00:00:00Z');
  const old = aged('old', '2026-01-01T00:00:00Z');
  const ageless = authentication('ns1', { mtls: STRICT }, 'ageless');
  t.same(
    peerAuthenticationsOf([ageless, young, old]).map(({ metadata }) => metadata.name),
    ['old', 'young', 'ageless'],
  );
  t.end();
});

function faultOf(proxyConfig: string): string {
  const annotations = `annotations: { proxy.istio.io/config: ${JSON.stringify(proxyConfig)} }`;
  const workloads = `{ a: { labels: { sidecar.istio.io/inject: 'true' }, ${annotations} } }`;
  const text = `name: x\nnodes: [n]\nworkloads: ${workloads}\n`;
  try {
    const [, pod] = planLab(parseTopology(text, join('x', 'x.yaml'))).pods;
    return JSON.stringify(pod?.sidecar);
  } catch (error) {
    return (error as Error).message;
  }
}

t.test('planLab() reads proxyMetadata of a pod, and refuses what the lab does not know', (t) => {
  t.match(faultOf('concurrency: 2'), /"listensHbone":true,"announcesHbone":true,"sendsHbone":true/);
  const off = 'proxyMetadata: { ISTIO_META_ENABLE_HBONE: "false" }';
  t.match(faultOf(off), /"listensHbone":false,"announcesHbone":false,"sendsHbone":true/);
  const unknown = faultOf('proxyMetadata: { ISTIO_META_ENABLE_HBON: "true" }');
  t.match(unknown, /"ISTIO_META_ENABLE_HBON".*did you mean "ISTIO_META_ENABLE_HBONE"/);
  t.match(faultOf('proxyMetadata: { ISTIO_META_DNS_CAPTURE: yes please }'), /DNS_CAPTURE: /);
  t.match(faultOf('proxyMetadata: ['), /annotation proxy.istio.io\/config: /);
  t.match(faultOf('[]'), /no YAML mapping/);
  t.end();
});
