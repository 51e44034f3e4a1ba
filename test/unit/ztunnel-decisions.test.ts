import t from 'tap';
import {
  cidrContains,
  formatIp,
  ipBytes,
  parseCidr,
  parseEndpoint,
} from '../../dataplane/ztunnel/address.ts';
import { resolveInbound, type InboundRequest } from '../../dataplane/ztunnel/inbound-request.ts';
import { loadBalance, localityRank } from '../../dataplane/ztunnel/load-balance.ts';
import { type OutboundPlan, planOutbound } from '../../dataplane/ztunnel/outbound-plan.ts';
import { evaluateRbac, type RbacConnection } from '../../dataplane/ztunnel/rbac.ts';
import { MeshState } from '../../dataplane/ztunnel/state/mesh-state.ts';
import { parseStaticFile } from '../../dataplane/ztunnel/state/static-file.ts';

const identity = (sa: string): string => `spiffe://cluster.local/ns/default/sa/${sa}`;

function workloadYaml(name: string, ip: string, more = ''): string {
  return `
- uid: cluster1//Pod/default/${name}
  name: ${name}
  namespace: default
  serviceAccount: ${name}
  trustDomain: cluster.local
  workloadIps: [${ip === '' ? '' : `"${ip}"`}]
  node: node1
  ${more.includes('services:') ? '' : 'services: {}'}
  ${more.trim().replaceAll('\n', '\n  ')}`;
}

const MESH = `
workloads:${workloadYaml('client', '10.0.0.2', 'protocol: HBONE')}
${workloadYaml('server', '10.0.0.3', 'protocol: HBONE\nservices: {default/server.default.svc.cluster.local: {80: 8080}}')}
${workloadYaml('plain', '10.0.0.4', 'services: {default/plain.default.svc.cluster.local: {80: 8080}}')}
${workloadYaml('waypoint', '10.0.0.5', 'protocol: HBONE\nservices: {default/waypoint.default.svc.cluster.local: {15008: 15008}}')}
${workloadYaml('behind', '10.0.0.6', 'protocol: HBONE\nwaypoint: {destination: /10.0.0.5, hboneMtlsPort: 15008}')}
${workloadYaml('behind-name', '10.0.0.7', 'protocol: HBONE\nwaypoint: {destination: default/waypoint.default.svc.cluster.local, hboneMtlsPort: 15008}')}
${workloadYaml('lost', '10.0.0.8', 'protocol: HBONE\nwaypoint: {destination: /10.9.9.9, hboneMtlsPort: 15008}')}
${workloadYaml('host', '10.0.0.9', 'networkMode: HostNetwork')}
${workloadYaml('named', '', 'protocol: TCP\nhostname: example.com\nservices: {default/named.default.svc.cluster.local: {80: 8080}}')}
${workloadYaml('remote', '', 'network: remote\nprotocol: HBONE\nnetworkGateway: {destination: remote/10.8.0.1, hboneMtlsPort: 15008}\nservices: {default/remote.default.svc.cluster.local: {80: 8080}}')}
${workloadYaml('gateway', '10.8.0.1', 'network: remote\nprotocol: HBONE')}
${workloadYaml('dual', '10.0.0.11", "fd00::11', 'protocol: HBONE\nservices: {default/dual.default.svc.cluster.local: {80: 8080}}')}
services:
- {name: server, namespace: default, hostname: server.default.svc.cluster.local, vips: ["/10.96.0.1"], ports: {80: 8080}, subjectAltNames: ["spiffe://cluster.local/ns/x/sa/y", "dns.name"]}
- {name: plain, namespace: default, hostname: plain.default.svc.cluster.local, vips: ["/10.96.0.2"], ports: {80: 8080}}
- {name: waypoint, namespace: default, hostname: waypoint.default.svc.cluster.local, vips: ["/10.96.0.3"], ports: {15008: 15008}, subjectAltNames: ["spiffe://cluster.local/ns/w/sa/w"]}
- {name: guarded, namespace: default, hostname: guarded.default.svc.cluster.local, vips: ["/10.96.0.4"], ports: {80: 8080}, waypoint: {destination: /10.0.0.5, hboneMtlsPort: 15008}}
- {name: empty, namespace: default, hostname: empty.default.svc.cluster.local, vips: ["/10.96.0.5"], ports: {80: 8080}}
- {name: pass, namespace: default, hostname: pass.default.svc.cluster.local, vips: ["/10.96.0.6"], ports: {80: 8080}, loadBalancer: {routingPreferences: [], mode: Passthrough, healthPolicy: OnlyHealthy}}
- {name: range, namespace: default, hostname: range.example.com, vips: [], cidrVips: [{network: "", cidr: 10.20.0.0/16}], ports: {80: 8080}, loadBalancer: {routingPreferences: [], mode: Passthrough, healthPolicy: OnlyHealthy}}
- {name: named, namespace: default, hostname: named.default.svc.cluster.local, vips: ["/10.96.0.7"], ports: {80: 0}}
- {name: remote, namespace: default, hostname: remote.default.svc.cluster.local, vips: ["/10.96.0.8"], ports: {80: 8080}, subjectAltNames: ["spiffe://cluster.local/ns/r/sa/r"]}
- {name: dual, namespace: default, hostname: dual.default.svc.cluster.local, vips: ["/10.96.0.9", "/fd00::96"], ports: {80: 8080}, ipFamilies: IPv4}
- {name: hidden, namespace: other, hostname: hidden.other.svc.cluster.local, vips: ["/10.96.0.10"], ports: {80: 8080}, visibility: Namespace}
- {name: weighted, namespace: default, hostname: weighted.default.svc.cluster.local, vips: ["/10.96.0.11"], ports: {80: 8080}, weightedWaypoints: [{destination: {destination: /10.0.0.5, hboneMtlsPort: 15008}, weight: 1}, {destination: {destination: /10.0.0.3, hboneMtlsPort: 15008}, weight: 3}]}
`;

const state = new MeshState(parseStaticFile('mesh.yaml', MESH));
const workload = (name: string) => state.workloads.get(`cluster1//Pod/default/${name}`)!;

function plan(target: string, source = 'client', random = 0): OutboundPlan {
  const from = workload(source);
  return planOutbound({
    state,
    source: from,
    client: { ip: from.workloadIps[0] ?? '10.0.0.99', port: 40000 },
    target: parseEndpoint(target)!,
    network: '',
    random: () => random,
  });
}

function shortPlan(target: string, source?: string, random?: number): string {
  const made = plan(target, source, random);
  const { destination } = made;
  const to = destination.kind === 'ip' ? destination.ip : destination.hostname;
  const service = made.service ? ` service ${made.service.name}` : '';
  const authority = made.kind === 'tcp' ? '' : ` authority ${made.authority}`;
  return `${made.kind} ${to}:${destination.port}${authority}${service}`;
}

t.test('planOutbound() decides as ztunnel does', async (t) => {
  const table: readonly (readonly [what: string, target: string, expected: string])[] = [
    ['a mesh pod', '10.0.0.3:9000', 'hbone 10.0.0.3:15008 authority 10.0.0.3:9000'],
    ['a service', '10.96.0.1:80', 'hbone 10.0.0.3:15008 authority 10.0.0.3:8080 service server'],
    ['a pod outside the mesh', '10.0.0.4:1', 'tcp 10.0.0.4:1'],
    ['a service outside the mesh', '10.96.0.2:80', 'tcp 10.0.0.4:8080 service plain'],
    ['an unknown address', '8.8.8.8:443', 'tcp 8.8.8.8:443'],
    ['a host-network address', '10.0.0.9:80', 'tcp 10.0.0.9:80'],
    [
      'a service with a waypoint',
      '10.96.0.4:80',
      'hbone 10.0.0.5:15008 authority 10.96.0.4:80 service guarded',
    ],
    ['a pod with a waypoint', '10.0.0.6:80', 'hbone 10.0.0.5:15008 authority 10.0.0.6:80'],
    ['a pod with a waypoint by name', '10.0.0.7:80', 'hbone 10.0.0.5:15008 authority 10.0.0.7:80'],
    ['a passthrough service', '10.96.0.6:80', 'tcp 10.96.0.6:80'],
    ['a range of addresses', '10.20.1.2:80', 'tcp 10.20.1.2:80'],
    ['a workload known by name', '10.96.0.7:80', 'tcp example.com:8080 service named'],
    [
      'another network',
      '10.96.0.8:80',
      'double-hbone 10.8.0.1:15008 authority remote.default.svc.cluster.local:80 service remote',
    ],
    ['IPv6 by pod address', '[fd00::11]:80', 'hbone fd00::11:15008 authority [fd00::11]:80'],
    [
      'an IPv6 VIP of an IPv4 service',
      '[fd00::96]:80',
      'hbone 10.0.0.11:15008 authority 10.0.0.11:8080 service dual',
    ],
    ['a service of another namespace only', '10.96.0.10:80', 'tcp 10.96.0.10:80'],
    ['its own VIP', '127.0.0.1:8080', 'tcp 127.0.0.1:8080'],
  ];
  for (const [what, target, expected] of table) t.equal(shortPlan(target), expected, what);
  t.equal(
    shortPlan('10.96.0.11:80', 'client', 0.1),
    'hbone 10.0.0.5:15008 authority 10.96.0.11:80 service weighted',
    'weighted waypoints, low draw',
  );
  t.equal(
    shortPlan('10.96.0.11:80', 'client', 0.9),
    'hbone 10.0.0.3:15008 authority 10.96.0.11:80 service weighted',
    'weighted waypoints, high draw',
  );
});

t.test('planOutbound() lets a waypoint reach what it stands for directly', async (t) => {
  const direct = 'hbone 10.0.0.6:15008 authority 10.0.0.6:80';
  t.equal(shortPlan('10.0.0.6:80', 'waypoint'), direct, 'waypoint by address');
  t.equal(
    shortPlan('10.0.0.7:80', 'waypoint'),
    direct.replaceAll('10.0.0.6', '10.0.0.7'),
    'by name',
  );
  t.not(shortPlan('10.0.0.6:80', 'client'), direct, 'another pod goes through the waypoint');
});

t.test('planOutbound() drops what cannot be carried', async (t) => {
  for (const port of [15001, 15006, 15008]) {
    t.throws(() => plan(`127.0.0.1:${port}`), { message: 'attempted recursive call to ourselves' });
  }
  t.equal(shortPlan('127.0.0.1:15053'), 'tcp 127.0.0.1:15053', 'other loopback ports pass');
  t.throws(() => plan('10.96.0.5:80'), { message: 'no healthy upstream: 10.96.0.5:80' });
  t.throws(
    () => plan('10.96.0.1:81'),
    { message: 'no healthy upstream: 10.96.0.1:81' },
    'no such port',
  );
  t.throws(() => plan('10.0.0.8:80'), { kind: 'unknown-waypoint', message: /^unknown waypoint: / });
});

t.test(
  'planOutbound() expects the identities of service and workload, in that order',
  async (t) => {
    const identities = (target: string): readonly string[] => {
      const made = plan(target);
      return made.kind === 'tcp' ? [] : made.expectedIdentities;
    };
    t.same(identities('10.0.0.3:80'), [identity('server')]);
    t.same(identities('10.96.0.1:80'), ['spiffe://cluster.local/ns/x/sa/y', identity('server')]);
    t.same(identities('10.0.0.7:80'), ['spiffe://cluster.local/ns/w/sa/w', identity('waypoint')]);
    const crossing = plan('10.96.0.8:80');
    t.match(crossing, { innerIdentities: ['spiffe://cluster.local/ns/r/sa/r'] });
  },
);

t.test('localityRank() and loadBalance() follow the preferences', async (t) => {
  const base = workload('server');
  const at = (network: string, region: string, zone: string, name = 'x') => ({
    ...base,
    uid: name,
    name,
    network,
    locality: { region, zone, subzone: '' },
  });
  const source = at('n', 'r', 'z');
  const rank = (network: string, region: string, zone: string): number =>
    localityRank(['Network', 'Region', 'Zone'], source, at(network, region, zone));
  t.same(
    [
      rank('n', 'r', 'z'),
      rank('n', 'r', '-'),
      rank('n', '-', 'z'),
      rank('-', 'r', 'z'),
      rank('-', 'r', '-'),
      rank('-', '-', '-'),
    ],
    [5, 4, 3, 2, 1, 0],
  );
  const plainRank = (region: string, zone: string): number =>
    localityRank(['Region', 'Zone'], source, at('n', region, zone));
  t.same([plainRank('r', 'z'), plainRank('r', '-'), plainRank('-', 'z')], [2, 1, 0]);

  const pick = (
    mode: string,
    random: number,
    preferences = '[Region, Zone]',
    extra = '',
  ): string => {
    const made = new MeshState(
      parseStaticFile(
        'lb.yaml',
        `
workloads:${workloadYaml('near', '10.0.0.20', 'locality: {region: r, zone: z}\nservices: {default/s: {80: 1}}')}
${workloadYaml('far', '10.0.0.21', 'locality: {region: r, zone: other}\ncapacity: 3\nservices: {default/s: {80: 2}}')}
${workloadYaml('sick', '10.0.0.22', 'status: Unhealthy\nservices: {default/s: {80: 3}}')}
${workloadYaml('nowhere', '', 'services: {default/s: {80: 4}}')}
services:
- {name: s, namespace: default, hostname: s, vips: [/10.0.9.9], ports: {80: 80}${mode === 'none' ? '' : `, loadBalancer: {routingPreferences: ${preferences}, mode: ${mode}, healthPolicy: OnlyHealthy}`}${extra}}
`,
      ),
    );
    const service = made.service('default', 's')!;
    return (
      loadBalance(made, source, service, 80, 'standard', () => random)?.workload.name ?? 'none'
    );
  };
  t.equal(pick('none', 0.2), 'near', 'weighted by capacity: 1 of 4');
  t.equal(pick('none', 0.3), 'far', 'weighted by capacity: 3 of 4');
  t.equal(pick('Standard', 0.99), 'far', 'unhealthy and unreachable ones are never drawn');
  t.equal(pick('Failover', 0.99), 'near', 'the best rank only');
  t.equal(pick('Strict', 0.99), 'near');
  t.equal(
    pick('Strict', 0, '[Region, Zone, Subzone, Node]'),
    'near',
    'node1 and empty subzone match too',
  );
  t.equal(pick('Strict', 0, '[Cluster, Region, Zone, Network]'), 'none', 'no full match: nobody');
  t.equal(
    pick('Failover', 0, '[Network, Region, Zone]'),
    'near',
    'network first, no network matches',
  );
});

const RULES: readonly (readonly [what: string, rules: string, matches: boolean])[] = [
  ['no rules', '[]', false],
  ['a rule without clauses', '[[]]', true],
  ['a clause without matches', '[[[]]]', true],
  ['an empty match', '[[[{}]]]', false],
  ['an exact principal', '[[[{principals: [!Exact cluster.local/ns/default/sa/client]}]]]', true],
  [
    'a principal with the scheme',
    '[[[{principals: [!Exact spiffe://cluster.local/ns/default/sa/client]}]]]',
    false,
  ],
  ['a prefix', '[[[{principals: [!Prefix cluster.local/ns/default]}]]]', true],
  ['a suffix', '[[[{principals: [!Suffix /sa/other]}]]]', false],
  ['presence', '[[[{principals: [!Presence []]}]]]', true],
  ['not presence', '[[[{notPrincipals: [!Presence []]}]]]', false],
  ['a namespace', '[[[{namespaces: [!Exact default]}]]]', true],
  ['not that namespace', '[[[{notNamespaces: [!Exact default]}]]]', false],
  [
    'a service account',
    '[[[{serviceAccounts: [{namespace: default, serviceAccount: client}]}]]]',
    true,
  ],
  [
    'not that service account',
    '[[[{notServiceAccounts: [{namespace: default, serviceAccount: client}]}]]]',
    false,
  ],
  ['a source range', '[[[{sourceIps: ["10.0.0.0/30"]}]]]', true],
  ['not that range', '[[[{notSourceIps: ["10.0.0.0/8"]}]]]', false],
  ['a destination address', '[[[{destinationIps: ["10.0.0.3/32"]}]]]', true],
  ['another destination address', '[[[{destinationIps: ["10.0.0.4/32"]}]]]', false],
  ['not that address', '[[[{notDestinationIps: ["10.0.0.4/32"]}]]]', true],
  ['a port', '[[[{destinationPorts: [8080]}]]]', true],
  ['another port', '[[[{destinationPorts: [80]}]]]', false],
  ['not that port', '[[[{notDestinationPorts: [80]}]]]', true],
  [
    'fields are joined by and',
    '[[[{destinationPorts: [8080], sourceIps: ["192.168.0.0/16"]}]]]',
    false,
  ],
  ['values by or', '[[[{destinationPorts: [80, 8080]}]]]', true],
  [
    'x and not x must both hold',
    '[[[{destinationPorts: [8080], notDestinationPorts: [8080]}]]]',
    false,
  ],
  ['matches by or', '[[[{destinationPorts: [80]}, {destinationPorts: [8080]}]]]', true],
  ['clauses by and', '[[[{destinationPorts: [8080]}], [{destinationPorts: [80]}]]]', false],
  ['rules by or', '[[[{destinationPorts: [80]}]], [[{destinationPorts: [8080]}]]]', true],
];

const policiesOf = (text: string) => parseStaticFile('p.yaml', `policies: ${text}`).policies;
const policy = (
  action: string,
  rules: string,
  dryRun = false,
  name = action.toLowerCase(),
): string =>
  `{name: ${name}, namespace: default, scope: Namespace, action: ${action}, dryRun: ${dryRun}, rules: ${rules}}`;

const MTLS: RbacConnection = {
  source: { ip: '10.0.0.2', port: 40000 },
  destination: { ip: '10.0.0.3', port: 8080 },
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'client' },
};
const PLAINTEXT: RbacConnection = { ...MTLS, identity: undefined };

t.test('evaluateRbac() matches as ztunnel does', async (t) => {
  for (const [what, rules, matches] of RULES) {
    const verdict = evaluateRbac(policiesOf(`[${policy('Deny', rules)}]`), MTLS).kind;
    t.equal(verdict, matches ? 'denied' : 'allowed', what);
  }
  const plaintext = (rules: string): string =>
    evaluateRbac(policiesOf(`[${policy('Deny', rules)}]`), PLAINTEXT).kind;
  t.equal(plaintext('[[[{notPrincipals: [!Presence []]}]]]'), 'denied', 'strict mTLS as a policy');
  t.equal(plaintext('[[[{principals: [!Presence []]}]]]'), 'allowed', 'no identity, no principal');
  t.equal(
    plaintext('[[[{namespaces: [!Prefix ""]}]]]'),
    'denied',
    'an empty prefix matches the empty namespace',
  );
  t.equal(plaintext('[[[{notServiceAccounts: [{namespace: a, serviceAccount: b}]}]]]'), 'denied');
});

t.test('evaluateRbac() judges deny, then allow, and only logs dry runs', async (t) => {
  const any = '[[]]';
  const verdict = (...texts: string[]): unknown =>
    evaluateRbac(policiesOf(`[${texts.join(', ')}]`), MTLS);
  const allowed = { kind: 'allowed' };
  t.same(verdict(), allowed, 'no policy');
  t.same(verdict(policy('Deny', any), policy('Allow', any)), {
    kind: 'denied',
    reason: 'explicitly denied by: default/deny',
  });
  t.same(verdict(policy('Allow', '[]')), {
    kind: 'denied',
    reason: 'allow policies exist, but none allowed',
  });
  t.same(verdict(policy('Allow', '[]'), policy('Allow', any, false, 'second')), allowed);
  t.same(verdict(policy('Deny', any, true)), allowed, 'dry-run deny');
  t.same(verdict(policy('Allow', '[]', true)), allowed, 'dry-run allow is no allow policy');
  const notes: string[] = [];
  evaluateRbac(
    policiesOf(`[${policy('Deny', any, true)}, ${policy('Allow', '[]', true)}]`),
    MTLS,
    (m, p) => notes.push(`${p} ${m}`),
  );
  t.same(notes, [
    'default/deny dry-run: deny policy match',
    'undefined dry-run: no allow policies match',
    'undefined no allow policies, allow',
  ]);
});

t.test('MeshState.policiesFor() takes global, own namespace and named policies', async (t) => {
  const made = new MeshState(
    parseStaticFile(
      'p.yaml',
      `
workloads:${workloadYaml('a', '10.0.0.2', 'authorizationPolicies: [default/sel, default/none]')}
policies:
- ${policy('Deny', '[]', false, 'ns')}
- ${policy('Deny', '[]', false, 'global').replace('Namespace', 'Global').replace('namespace: default', 'namespace: root')}
- ${policy('Deny', '[]', false, 'other').replace('namespace: default', 'namespace: other')}
- ${policy('Deny', '[]', false, 'sel').replace('Namespace', 'WorkloadSelector')}
- ${policy('Deny', '[]', false, 'unselected').replace('Namespace', 'WorkloadSelector')}
`,
    ),
  );
  const names = made
    .policiesFor(made.workloads.get('cluster1//Pod/default/a')!)
    .map(({ name }) => name);
  t.same(names.sort(), ['global', 'ns', 'sel']);
});

t.test('MeshState ranks what shares an address or a name', async (t) => {
  const shared = (services: string): MeshState =>
    new MeshState(parseStaticFile('s.yaml', services));
  const ips =
    shared(`workloads:${workloadYaml('vm', '10.0.0.2', 'protocol: HBONE').replace('//Pod/', '//WorkloadEntry/')}
${workloadYaml('pod', '10.0.0.2')}${workloadYaml('mesh-pod', '10.0.0.2', 'protocol: HBONE')}`);
  t.equal(
    ips.workloadByIp('', '10.0.0.2')?.name,
    'mesh-pod',
    'pods before others, HBONE before TCP',
  );
  t.equal(ips.workloadByIp('other', '10.0.0.2'), undefined, 'networks are apart');
  const services = shared(`services:
- {name: a, namespace: n1, hostname: x, vips: [/10.1.1.1], ports: {}}
- {name: b, namespace: n2, hostname: x, vips: [/10.1.1.1], ports: {}, canonical: true}
- {name: c, namespace: n3, hostname: x, vips: [/10.1.1.1], ports: {}}
- {name: wide, namespace: n4, hostname: y, vips: [], cidrVips: [{cidr: 10.2.0.0/16}], ports: {}}
- {name: narrow, namespace: n5, hostname: z, vips: [], cidrVips: [{cidr: 10.2.3.0/24}], ports: {}}`);
  t.equal(services.serviceByVip('', '10.1.1.1', 'n3')?.name, 'c', 'own namespace first');
  t.equal(services.serviceByVip('', '10.1.1.1', 'n9')?.name, 'b', 'then the canonical one');
  t.equal(services.serviceByHostname('x', 'n1')?.name, 'a');
  t.equal(services.serviceByVip('', '10.2.3.4', 'n9')?.name, 'narrow', 'longest prefix');
  t.equal(services.serviceByVip('', '10.2.3.4', 'n4')?.name, 'wide', 'own namespace before prefix');
});

t.test('resolveInbound() answers in the order and with the statuses of ztunnel', async (t) => {
  const request = (over: Partial<InboundRequest>): InboundRequest => ({
    state,
    local: workload('server'),
    identity: { name: 'server', namespace: 'default', serviceAccount: 'server' },
    connection: { peer: { ip: '10.0.0.2', port: 40000 }, local: { ip: '10.0.0.3', port: 15008 } },
    method: 'CONNECT',
    authority: '10.0.0.3:8080',
    network: '',
    localhostAppTunnel: true,
    ...over,
  });
  const upstream = (over: Partial<InboundRequest>): unknown =>
    resolveInbound(request(over)).upstream;
  const refused = (over: Partial<InboundRequest>, status: number, message: string): void => {
    t.throws(() => resolveInbound(request(over)), { status, message }, message);
  };
  t.same(upstream({}), { ip: '10.0.0.3', port: 8080 });
  t.same(upstream({ authority: 'server.default.svc.cluster.local:80' }), {
    ip: '10.0.0.3',
    port: 8080,
  });
  refused({ method: 'GET', authority: 'x' }, 400, 'expected method CONNECT, got GET');
  for (const authority of [
    'no-port',
    '10.0.0.3',
    '',
    '10.0.0.3:99999',
    'a:b:80',
    '[::1]80',
    ':80',
  ]) {
    refused({ authority }, 400, `no valid authority pseudo header: ${authority}`);
  }
  refused(
    { local: undefined },
    503,
    'failed to fetch information about local workload: server.default (server)',
  );
  refused({ authority: '10.0.0.2:80' }, 400, 'ip mismatch: 10.0.0.3 != 10.0.0.2');
  refused({ authority: '127.0.0.1:80' }, 400, 'ip mismatch: 10.0.0.3 != 127.0.0.1');
  refused(
    { authority: 'nosuch.example.com:80' },
    503,
    'no service or workload for hostname: nosuch.example.com',
  );
  refused(
    { authority: 'server.default.svc.cluster.local:81' },
    503,
    'requested service server.default.svc.cluster.local:81 found, but cannot resolve port',
  );
  for (const port of [15001, 15006, 15008]) {
    refused({ authority: `10.0.0.3:${port}` }, 503, 'attempted recursive call to ourselves');
  }
});

t.test('resolveInbound() serves what a workload is the waypoint of, and app tunnels', async (t) => {
  const local = workload('waypoint');
  const connection = {
    peer: { ip: '10.0.0.2', port: 40000 },
    local: { ip: '10.0.0.5', port: 15008 },
  };
  const identityOf = { name: 'waypoint', namespace: 'default', serviceAccount: 'waypoint' };
  const base: InboundRequest = {
    state,
    local,
    identity: identityOf,
    connection,
    method: 'CONNECT',
    authority: '',
    network: '',
    localhostAppTunnel: true,
  };
  for (const authority of ['10.0.0.6:80', '10.0.0.7:80', '10.96.0.4:80']) {
    t.same(
      resolveInbound({ ...base, authority }).upstream,
      { ip: '10.0.0.5', port: 80 },
      authority,
    );
  }
  t.throws(
    () => resolveInbound({ ...base, authority: '10.0.0.3:80' }),
    { status: 400, name: 'InboundRefusal' },
    'not of others',
  );
  const tunnelled = { ...local, applicationTunnel: { protocol: 'PROXY', port: 15088 } } as const;
  const proxied = resolveInbound({ ...base, local: tunnelled, authority: '10.0.0.3:80' });
  t.match(proxied, {
    upstream: { ip: '127.0.0.1', port: 15088 },
    preservesSource: false,
    proxyProtocolDestination: { ip: '10.0.0.3', port: 80 },
  });
  const named = resolveInbound({
    ...base,
    local: tunnelled,
    authority: 'server.default.svc.cluster.local:80',
  });
  t.same(named.proxyProtocolDestination, { ip: '10.96.0.1', port: 80 }, 'a VIP of the service');
  const override = { ...local, applicationTunnel: { protocol: 'NONE', port: 9000 } } as const;
  t.match(resolveInbound({ ...base, local: override, authority: '10.0.0.3:80' }), {
    upstream: { ip: '10.0.0.5', port: 9000 },
    proxyProtocolDestination: undefined,
  });
});

t.test('addresses are read strictly and written canonically', async (t) => {
  const canonical = (text: string): string | undefined => {
    const bytes = ipBytes(text);
    return bytes && formatIp(bytes);
  };
  t.equal(canonical('::ffff:10.0.0.1'), '10.0.0.1', 'v4-mapped is IPv4');
  t.equal(canonical('2001:DB8:0:0:1:0:0:1'), '2001:db8::1:0:0:1', 'the first of equal runs');
  t.equal(canonical('::'), '::');
  t.equal(canonical('fe80::1%eth0'), undefined);
  t.equal(canonical('1.2.3'), undefined);
  t.same(parseEndpoint('[::1]:80'), { ip: '::1', port: 80 });
  for (const bad of [
    '::1:80',
    '[1.2.3.4]:80',
    '1.2.3.4',
    'host:80',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '[::1]',
  ]) {
    t.equal(parseEndpoint(bad), undefined, bad);
  }
  const holds = (cidr: string, ip: string): boolean => cidrContains(parseCidr(cidr)!, ip);
  t.ok(holds('10.1.2.128/25', '10.1.2.200'));
  t.notOk(holds('10.1.2.128/25', '10.1.2.100'));
  t.ok(holds('0.0.0.0/0', '1.2.3.4'));
  t.notOk(holds('0.0.0.0/0', '::1'), 'families are apart');
  t.ok(holds('fd00::/8', 'fdff::1'));
  for (const bad of ['10.0.0.1', '10.0.0.0/33', 'x/8', '10.0.0.0/-1'])
    t.equal(parseCidr(bad), undefined, bad);
});
