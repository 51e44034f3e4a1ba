import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { renderJsonSchema } from '../../topologies/json-schema.ts';
import { formatFault, TopologyError } from '../../topologies/errors.ts';
import { programOf, repositoryOf } from '../../topologies/images.ts';
import {
  canonicalIp,
  formatIp,
  parseIp,
  parseIpRange,
  rangesOverlap,
} from '../../topologies/ip.ts';
import { parseLegNotation } from '../../topologies/leg-notation.ts';
import { loadTopology, parseTopology } from '../../topologies/load.ts';
import { nearest } from '../../topologies/nearest.ts';
import { parseRequestTarget } from '../../topologies/request-target.ts';

const TOPOLOGIES = path.join(import.meta.dirname, '../../topologies');

/** Faults of a topology text, one line each; fails loudly on anything but a TopologyError. */
function faultsOf(text: string, file = 't.yaml'): string[] {
  try {
    parseTopology(text, file);
    return [];
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    return error.faults.map(formatFault);
  }
}

/** A topology that is right, with lines added at its end (line 13 on). */
function withLines(...lines: readonly string[]): string {
  return [BASE, ...lines, ''].join('\n');
}

const BASE = `name: base
nodes: [node1, node2]
namespaces:
  demo: { mode: ambient }
  old: { mode: none }
workloads:
  sleep: { namespace: demo, node: node1 }
  httpbin: { namespace: demo, node: node2, app: http, port: 8080 }
  twin: { namespace: old, command: [python3, -m, http.server], port: 80 }
services:
  httpbin: { namespace: demo, selector: httpbin, ports: { 8000: 8080 } }
  other: { namespace: old, selector: twin, ports: { 80: 80 } }`;

const SCENARIO =
  'scenarios: [{ name: a, request: { from: sleep, to: "http://httpbin.demo:8000/" },';

/** Each class of fault with the very line it must give. */
const FAULTS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'unknown key at the top',
    'name: a\nnodess: [a]\nnodes: [a]\n',
    ['t.yaml:2:1: Unknown key "nodess" (did you mean "nodes"?)'],
  ],
  [
    'unknown key in a workload',
    withLines('').replace('app: http,', 'ap: http,'),
    ['t.yaml:8:44: Unknown key "ap" (did you mean "app"?)'],
  ],
  [
    'unknown key that is near nothing',
    withLines('zzzzzzzzzzz: 1'),
    ['t.yaml:13:1: Unknown key "zzzzzzzzzzz"'],
  ],
  ['missing key', 'nodes: [a]\n', ['t.yaml:1:1: Missing key "name"']],
  [
    'wrong type',
    withLines('dnsCapture: perhaps'),
    ['t.yaml:13:13: Expected true or false, got "perhaps"'],
  ],
  [
    'unknown era',
    withLines('era: inpod-tprxy'),
    [
      't.yaml:13:6: Unknown era "inpod-tprxy": want geneve, inpod-tproxy, inpod-redirect or inpod-nft (did you mean "inpod-tproxy"?)',
    ],
  ],
  [
    'unknown mode',
    BASE.replace('mode: none', 'mode: ambiant'),
    [
      't.yaml:5:16: Unknown value "ambiant": want none, ambient or sidecar (did you mean "ambient"?)',
    ],
  ],
  ['duplicate YAML key', withLines('name: again'), ['t.yaml:13:1: Key "name" is given twice']],
  [
    'duplicate node',
    BASE.replace('[node1, node2]', '[node1, node2, node1]'),
    ['t.yaml:2:23: Node "node1" is defined twice'],
  ],
  [
    'node with a name of the lab',
    BASE.replace('[node1, node2]', '[node1, node2, outside]'),
    ['t.yaml:2:23: Cannot name a node "outside": the lab uses that name'],
  ],
  [
    'name that is no DNS label',
    BASE.replace('name: base', 'name: Base_1'),
    ['t.yaml:1:7: Not a DNS label: want lower-case letters, digits and "-", at most 63: "Base_1"'],
  ],
  [
    'key that is no DNS label',
    BASE.replace('  sleep:', '  Sleep:'),
    [
      't.yaml:7:3: Cannot use key "Sleep": not a DNS label: want lower-case letters, digits and "-", at most 63',
    ],
  ],
  [
    'overlapping pod ranges',
    BASE.replace(
      '[node1, node2]',
      '[{ name: node1, podRange: 10.0.0.0/22 }, { name: node2, podRange: 10.0.2.0/24 }]',
    ),
    ['t.yaml:2:74: Pod range 10.0.2.0/24 overlaps the pod range of "node1"'],
  ],
  [
    'pod range that the lab uses',
    BASE.replace('[node1, node2]', '[node1, { name: node2, podRange: 10.96.0.0/24 }]'),
    ['t.yaml:2:41: Pod range 10.96.0.0/24 overlaps the addresses of services'],
  ],
  [
    'pod range of a silly size',
    BASE.replace('[node1, node2]', '[node1, { name: node2, podRange: 10.1.0.0/30 }]'),
    ['t.yaml:2:41: Pod range 10.1.0.0/30 has the wrong size: want /16 to /28'],
  ],
  [
    'bad CIDR',
    BASE.replace('[node1, node2]', '[node1, { name: node2, podRange: 10.0.0.1/24 }]'),
    ['t.yaml:2:41: Not an IP range: "10.0.0.1/24"'],
  ],
  [
    'bad port',
    BASE.replace('port: 8080', 'port: 80800'),
    ['t.yaml:8:61: 80800 is out of range: want at most 65535'],
  ],
  [
    'bad service port',
    BASE.replace('{ 80: 80 }', '{ 80000: 80 }'),
    ['t.yaml:12:53: Not a port "80000": want 1 to 65535'],
  ],
  [
    'unknown node',
    BASE.replace('node: node2', 'node: nod2'),
    ['t.yaml:8:37: Unknown node "nod2" (did you mean "node2"?)'],
  ],
  [
    'unknown namespace',
    BASE.replace('sleep: { namespace: demo', 'sleep: { namespace: dmeo'),
    ['t.yaml:7:23: Unknown namespace "dmeo" (did you mean "demo"?)'],
  ],
  [
    'unknown workload in a selector',
    BASE.replace('selector: twin', 'selector: twn'),
    ['t.yaml:12:38: Unknown workload "twn" (did you mean "twin"?)'],
  ],
  [
    'unknown app',
    BASE.replace('app: http', 'app: htp'),
    [
      't.yaml:8:49: Unknown value "htp": want http, tcp-echo, udp-echo or none (did you mean "http"?)',
    ],
  ],
  [
    'address in use twice',
    BASE.replace('node: node1 }', 'node: node1, address: 10.244.1.9 }').replace(
      'port: 8080 }',
      'port: 8080, address: 10.244.1.9 }',
    ),
    ['t.yaml:8:76: Address 10.244.1.9 is in use already, by Pod "demo/sleep"'],
  ],
  [
    'service address in use twice',
    BASE.replaceAll('ports:', 'clusterIP: 10.96.7.7, ports:'),
    ['t.yaml:12:55: Address 10.96.7.7 is in use already, by Service "demo/httpbin"'],
  ],
  [
    'service address of the DNS',
    BASE.replace('{ 80: 80 }', '{ 80: 80 }, clusterIP: 10.96.0.10'),
    ["t.yaml:12:74: Address 10.96.0.10 is in use already, by the cluster's DNS"],
  ],
  [
    'service address elsewhere',
    BASE.replace('{ 80: 80 }', '{ 80: 80 }, clusterIP: 10.97.0.10'),
    ['t.yaml:12:74: Not a service address "10.97.0.10": want one in 10.96.0.0/16'],
  ],
  [
    'node port out of range',
    BASE.replace('{ 80: 80 }', '{ 80: 80 }, nodePort: 80'),
    ['t.yaml:12:73: Not a node port 80: want 30000 to 32767'],
  ],
  [
    'node port in use',
    BASE.replaceAll('ports:', 'nodePort: 30001, ports:'),
    ['t.yaml:12:54: Node port 30001/TCP is in use by Service "demo/httpbin"'],
  ],
  [
    'port served twice',
    BASE.replace(
      'app: http, port: 8080',
      'apps: [{ app: http, port: 1 }, { app: tcp-echo, port: 1 }]',
    ),
    ['t.yaml:8:3: Port 1/TCP is served twice in Pod "demo/httpbin"'],
  ],
  [
    'app and apps',
    BASE.replace('app: http,', 'app: http, apps: [],'),
    ['t.yaml:8:49: Give "app" or "apps", not both'],
  ],
  [
    'port without an app',
    BASE.replace('node: node1 }', 'node: node1, port: 1 }'),
    ['t.yaml:7:48: "port" belongs to an "app", and there is none'],
  ],
  [
    'manifest that is not there',
    withLines('manifests: [nowhere.yaml]'),
    ['t.yaml:13:13: Cannot read manifest "nowhere.yaml": no such file'],
  ],
  [
    'scenario from an unknown pod',
    withLines('scenarios: [{ name: a, request: { from: slep, to: "http://self/" }, expect: {} }]'),
    ['t.yaml:13:41: Unknown pod or node "slep" (did you mean "sleep"?)'],
  ],
  [
    'scenario to an unknown service',
    withLines(`${SCENARIO} expect: {} }]`.replace('httpbin.demo', 'htpbin.demo')),
    ['t.yaml:13:52: Unknown service "htpbin.demo" (did you mean "httpbin.demo"?)'],
  ],
  [
    'scenario to a service of another namespace by its short name',
    withLines(`${SCENARIO} expect: {} }]`.replace('httpbin.demo', 'other')),
    ['t.yaml:13:52: Unknown service "other" (did you mean "other.old"?)'],
  ],
  [
    'scenario that enrols an unknown pod',
    withLines(`${SCENARIO} before: [{ enrol: htpbin }], expect: {} }]`),
    ['t.yaml:13:101: Unknown pod "htpbin" (did you mean "httpbin"?)'],
  ],
  [
    'step that is none',
    withLines(`${SCENARIO} before: [{}], expect: {} }]`),
    [
      't.yaml:13:92: Want exactly one of "enrol", "leave", "apply", "delete", "label", "break" and "mend"',
    ],
  ],
  [
    'leg that is none',
    withLines(`${SCENARIO} expect: { legs: [sleep to ztunnel] } }]`),
    [
      't.yaml:13:100: Not a leg: want "<from> -> <to>:<port>", with " hbone" behind it for a tunnel: "sleep to ztunnel"',
    ],
  ],
  [
    'leg with an unknown party',
    withLines(`${SCENARIO} expect: { legs: [sleep -> ztunel:15001] } }]`),
    ['t.yaml:13:100: Unknown pod or node "ztunel" (did you mean "ztunnel"?)'],
  ],
  [
    'leg to a port that is none',
    withLines(`${SCENARIO} expect: { legs: [sleep -> ztunnel:99999] } }]`),
    ['t.yaml:13:100: Not a port in "sleep -> ztunnel:99999": want 1 to 65535'],
  ],
  [
    'expectation of an unknown node, source and netns',
    withLines(
      `${SCENARIO} expect: { source: slep, plainBetween: [node1, node3], quiet: [slep.demo/lo] } }]`,
    ),
    [
      't.yaml:13:101: Unknown pod or node "slep" (did you mean "sleep"?)',
      't.yaml:13:129: Unknown node "node3" (did you mean "node1"?)',
      't.yaml:13:145: Unknown netns "slep.demo" (did you mean "sleep.demo"?)',
    ],
  ],
  [
    'expectation of the wrong type',
    withLines(`${SCENARIO} expect: { status: ok, stats: 1 } }]`),
    [
      't.yaml:13:101: Expected a number, got "ok"',
      't.yaml:13:105: Unknown key "stats" (did you mean "status"?)',
    ],
  ],
  [
    'target that is none',
    withLines(`${SCENARIO} expect: {} }]`.replace('http://', 'gopher://')),
    [
      't.yaml:13:52: Not a request target "gopher://httpbin.demo:8000/": want http://, tcp:// or udp:// host:port, or dns://name',
    ],
  ],
  [
    'scenario defined twice',
    withLines(
      'scenarios:',
      ...twice('  - { name: a, request: { from: sleep, to: "http://self/" }, expect: {} }'),
    ),
    ['t.yaml:15:13: Scenario "a" is defined twice'],
  ],
  [
    'policy with a key of nobody',
    withLines(
      'policies:',
      '  - name: p',
      '    namespace: demo',
      '    scope: Namespace',
      '    action: Allow',
      '    dryRun: false',
      '    rules: [[[{ principal: [!Exact a] }]]]',
    ),
    ['t.yaml:19:17: Unknown key "principal" (did you mean "principals"?)'],
  ],
  [
    'policy with an unknown tag',
    withLines('policies: [{ name: !Exakt p }]'),
    ['t.yaml:13:20: Unresolved tag: !Exakt'],
  ],
  [
    'policy without a prefix length',
    withLines(
      'policies:',
      '  - name: p',
      '    namespace: demo',
      '    scope: Namespace',
      '    action: Allow',
      '    dryRun: false',
      '    rules: [[[{ sourceIps: [10.0.0.1] }]]]',
    ),
    ['t.yaml:19:29: Not a CIDR: want an address with its prefix length: "10.0.0.1"'],
  ],
  ['empty file', '', ['t.yaml:1:1: The topology is empty']],
  [
    'two documents',
    `${BASE}\n---\nkind: Pod\n`,
    ['t.yaml:14:1: A topology is one document; Kubernetes objects go into files of "manifests"'],
  ],
  ['no mapping', '- a\n', ['t.yaml:1:1: Expected a mapping, got a list']],
];

function twice(line: string): [string, string] {
  return [line, line];
}

t.test('parseTopology() names each fault with its place and what was meant', async (t) => {
  t.same(faultsOf(BASE), [], 'the text the faults are put into is right');
  for (const [name, text, expected] of FAULTS) t.same(faultsOf(text), expected, name);
});

/** Faults of families, each at the place that has to change. */
const FAMILY_FAULTS: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'a family that does not exist',
    'name: a\nipFamilies: [IPv5]\nnodes: [n]\n',
    ['t.yaml:2:14: Unknown value "IPv5": want IPv4 or IPv6 (did you mean "IPv4"?)'],
  ],
  [
    'a family twice',
    'name: a\nipFamilies: [IPv6, IPv6]\nnodes: [n]\n',
    ['t.yaml:2:13: A family is listed twice'],
  ],
  [
    'IPv6 in an era without it',
    'name: a\nera: geneve\nipFamilies: [IPv4, IPv6]\nnodes: [n]\n',
    [
      't.yaml:3:13: Cannot use IPv6 in era "geneve": its redirect has rules for IPv4 only, want [IPv4]',
    ],
  ],
  [
    'an address of a family the lab has not',
    'name: a\nnodes: [n]\nworkloads:\n  w: { address: "fd00::5" }\n',
    ['t.yaml:4:17: Cannot use IPv6: the lab has "ipFamilies: [IPv4]"'],
  ],
  [
    'a pod range of such a family',
    'name: a\nnodes: [{ name: n, podRange: [10.1.0.0/24, "fd01::/64"] }]\n',
    ['t.yaml:2:44: Cannot use IPv6: the lab has "ipFamilies: [IPv4]"'],
  ],
  [
    'a service of two families without a policy for it',
    'name: a\nipFamilies: [IPv4, IPv6]\nnodes: [n]\nservices:\n  s: { ports: { 80: 80 }, ipFamilies: [IPv6, IPv4] }\n',
    ['t.yaml:5:39: Want "ipFamilyPolicy" PreferDualStack or RequireDualStack for two families'],
  ],
  [
    'a service that requires what the lab has not',
    'name: a\nnodes: [n]\nservices:\n  s: { ports: { 80: 80 }, ipFamilyPolicy: RequireDualStack }\n',
    ['t.yaml:4:43: Cannot require both families: want "ipFamilies" of the lab to have both'],
  ],
  [
    'a service address outside its range',
    'name: a\nipFamilies: [IPv6]\nnodes: [n]\nservices:\n  s: { ports: { 80: 80 }, clusterIP: "fd00:10:97::1" }\n',
    ['t.yaml:5:38: Not a service address "fd00:10:97::1": want one in fd00:10:96::/112'],
  ],
  [
    'the address of the cluster DNS in another spelling',
    'name: a\nipFamilies: [IPv6]\nnodes: [n]\nservices:\n  s: { ports: { 80: 80 }, clusterIP: "fd00:10:96:0::A" }\n',
    ["t.yaml:5:38: Address fd00:10:96::a is in use already, by the cluster's DNS"],
  ],
  [
    'a request in a family the lab has not',
    'name: a\nnodes: [n]\nworkloads: { w: {} }\nscenarios:\n  - { name: s, request: { from: w, to: "http://[fd00::1]:80/", ipFamily: IPv6 }, expect: {} }\n',
    [
      't.yaml:5:40: Cannot use IPv6: the lab has "ipFamilies: [IPv4]"',
      't.yaml:5:74: Cannot use IPv6: the lab has "ipFamilies: [IPv4]"',
    ],
  ],
];

t.test('parseTopology() names faults of families with their place', async (t) => {
  for (const [name, text, expected] of FAMILY_FAULTS) t.same(faultsOf(text), expected, name);
  const right =
    'name: a\nipFamilies: [IPv6, IPv4]\nnodes: [n]\nworkloads:\n  w: { address: ["10.244.1.9", "fd00:10:244:1::9"] }\n';
  t.same(faultsOf(right), [], 'one of each family is right');
});

t.test('parseTopology() lists all faults in file order, each once', async (t) => {
  const text = withLines('dnsCapture: 1')
    .replace('demo: {', 'Demo: {')
    .replace('app: http', 'ap: x');
  t.same(
    faultsOf(text).map((line) => line.replace(/: .*/, '')),
    ['t.yaml:4:3', 't.yaml:8:44', 't.yaml:13:13'],
  );
});

t.test('parseTopology() is bounded', async (t) => {
  const bomb = ['name: bomb', 'nodes: [a]', 'x0: &x0 [a, a, a, a, a, a, a, a, a, a]'];
  for (let i = 1; i < 12; i++) {
    bomb.push(
      `x${i}: &x${i} [${Array(10)
        .fill(`*x${i - 1}`)
        .join(', ')}]`,
    );
  }
  t.match(faultsOf(bomb.join('\n')), [/alias/i], 'aliases that multiply');
  t.match(faultsOf('['.repeat(50_000)), [/: Nested too deeply$/], 'brackets nested deeply');
  t.match(faultsOf('- '.repeat(50_000)), [/: Nested too deeply$/], 'lists nested deeply');
  t.match(faultsOf(`name: ${'a'.repeat(5_000_000)}`), [/larger than 1048576 bytes/]);
  t.same(faultsOf(BASE.replace('{ mode: none }', '&m { mode: none }')), [], 'an anchor is fine');
});

t.test('loadTopology() says which file is not there', async (t) => {
  const error = t.throws(() => loadTopology('/nowhere/x.yaml')) as unknown as TopologyError;
  t.equal(error.code, 'TOPOLOGY_NOT_FOUND');
  t.equal(
    error.message,
    '/nowhere/x.yaml:1:1: Cannot read topology "/nowhere/x.yaml": no such file',
  );
  const directory = t.throws(() => loadTopology('/')) as unknown as TopologyError;
  t.match(directory.message, /it is a directory, want a file/);
  const endless = t.throws(() => loadTopology('/dev/zero')) as unknown as TopologyError;
  t.match(endless.message, /larger than 1048576 bytes/);
});

t.test('loadTopology() reads standard input for "-"', async (t) => {
  const topology = loadTopology('-', { stdin: BASE });
  t.equal(topology.file, '-');
  t.equal(topology.name, 'base');
});

t.test('parseTopology() expands the short form into objects of Kubernetes', async (t) => {
  const { objects } = parseTopology(BASE.replace('port: 8080', 'port: 8080, enrolled: false'), 'f');
  t.same(
    objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`),
    [
      'Namespace /demo',
      'Namespace /old',
      'ServiceAccount demo/sleep',
      'Pod demo/sleep',
      'ServiceAccount demo/httpbin',
      'Pod demo/httpbin',
      'ServiceAccount old/twin',
      'Pod old/twin',
      'Service demo/httpbin',
      'Service old/other',
    ],
  );
  t.same(objects[0]!.metadata.labels, { 'istio.io/dataplane-mode': 'ambient' });
  t.same(objects[5], {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'httpbin',
      namespace: 'demo',
      labels: { app: 'httpbin', 'istio.io/dataplane-mode': 'none' },
    },
    spec: {
      nodeName: 'node2',
      serviceAccountName: 'httpbin',
      containers: [{ name: 'http', image: 'ambient-lab/http', ports: [{ containerPort: 8080 }] }],
    },
  });
  t.match(objects[7], {
    spec: {
      containers: [{ command: ['python3', '-m', 'http.server'], image: 'ambient-lab/machine' }],
    },
  });
  t.same(objects[8], {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'httpbin', namespace: 'demo' },
    spec: {
      selector: { app: 'httpbin' },
      ports: [{ name: 'port-8000', port: 8000, targetPort: 8080, protocol: 'TCP' }],
    },
  });
});

t.test('parseTopology() takes over policies, scenarios and settings', async (t) => {
  const topology = parseTopology(
    withLines(
      'era: inpod-tproxy',
      'dnsCapture: false',
      'capture: { snapLength: 256 }',
      'policies:',
      '  - name: p',
      '    namespace: demo',
      '    scope: Namespace',
      '    action: Deny',
      '    dryRun: false',
      '    rules: [[[{ principals: [!Exact a/b, !Prefix c, !Suffix d, !Presence []] }]]]',
      'scenarios:',
      '  - name: first',
      '    before: [{ enrol: twin }, { leave: sleep }]',
      '    request: { from: node1, to: tcp://node:node2:80, count: 2 }',
      '    expect: { outcome: refused }',
    ),
    'f',
  );
  t.equal(topology.era, 'inpod-tproxy');
  t.equal(topology.dnsCapture, false);
  t.same(topology.capture, { snapLength: 256 });
  t.same(topology.policies[0]!.rules, [
    [
      [
        {
          principals: [
            { tag: 'Exact', value: 'a/b' },
            { tag: 'Prefix', value: 'c' },
            { tag: 'Suffix', value: 'd' },
            { tag: 'Presence', value: null },
          ],
        },
      ],
    ],
  ]);
  t.same(topology.scenarios, [
    {
      name: 'first',
      before: [
        { kind: 'enrol', pod: 'twin' },
        { kind: 'leave', pod: 'sleep' },
      ],
      request: { from: 'node1', to: 'tcp://node:node2:80', count: 2 },
      expect: { outcome: 'refused' },
      line: 24,
    },
  ]);
});

t.test('manifests are read as in a cluster, and what cannot be built is refused', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'manifests-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = path.join(directory, 't.yaml');
  const load = (manifest: string): string[] | object => {
    writeFileSync(path.join(directory, 'm.yaml'), manifest);
    const faults = faultsOf('name: a\nnodes: [node1]\nmanifests: [m.yaml]\n', file);
    return faults.map((fault) => fault.replaceAll(directory, ''));
  };
  const pod = (spec: string, more = ''): string =>
    `apiVersion: v1\nkind: Pod\nmetadata:\n  name: p${more}\nspec:\n${spec}`;
  const idle = '  containers:\n  - { name: c, image: busybox }\n';

  t.same(load(pod(idle)), [], 'the pod the faults are put into is right');
  t.same(load('---\n---\n# nothing\n'), [], 'empty documents are nothing');
  t.match(load('apiVersion: apps/v1\nkind: StatefulSet\n'), [
    '/m.yaml:2:7: Unknown kind "StatefulSet": want Namespace, ServiceAccount, Pod, Deployment, Service, NetworkPolicy, PeerAuthentication or List',
  ]);
  t.match(load('apiVersion: v1\nkind: Servce\n'), [/:2:7: .*did you mean "Service"/]);
  t.match(load('a: 1\n'), [/^\/m.yaml:1:1: Not a Kubernetes object: missing key "kind"/]);
  t.match(load(pod('  containers:\n  - { name: c, image: nginx }\n')), [
    /^\/m.yaml:7:23: Unknown image "nginx": nothing is pulled, want a "command".* \*\/sleep$/,
  ]);
  t.match(load(pod('  containers:\n  - { name: c, image: kong/httpbim:1 }\n')), [
    /did you mean "kong\/httpbin"/,
  ]);
  t.same(load(pod(`  hostNetwork: true\n${idle}`)), [
    '/m.yaml:6:3: Cannot use hostNetwork true: pods in the network namespace of their node cannot be built yet',
  ]);
  t.same(load(pod(`  nodeName: node9\n${idle}`)), [
    '/m.yaml:6:13: Unknown node "node9" (did you mean "node1"?)',
  ]);
  t.same(load(pod(`  serviceAccountName: robot\n${idle}`)), [
    '/m.yaml:6:23: Unknown service account "default/robot"',
  ]);
  t.same(load(pod(`  nodeSelector: { disk: ssd }\n${idle}`)), [
    '/m.yaml:6:25: No node has the label "disk: ssd"',
  ]);
  t.same(load(pod(idle, '\n  namespace: nowhere')), ['/m.yaml:5:14: Unknown namespace "nowhere"']);
  t.match(load(`${pod(idle)}---\n${pod(idle)}`), [
    /^\/m.yaml:12:9: Pod "default\/p" is defined twice, first at \/m.yaml:4$/,
  ]);
  t.match(load('apiVersion: v1\nkind: Pod\nmetadata: { name: p }\n'), [/:1:1: Missing key "spec"/]);
  t.match(load('apiVersion: v1\nkind: List\nitems:\n- { kind: Job }\n'), [
    /^\/m.yaml:4:11: Unknown kind "Job"/,
  ]);
  const service = 'apiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec:\n';
  t.match(load(`${service}  type: LoadBalancer\n  ports: [{ port: 1 }]\n`), [
    /:5:9: Unknown value "LoadBalancer": want ClusterIP or NodePort/,
  ]);
  t.same(load(`${service}  sessionAffinity: ClientIP\n  ports: [{ port: 1 }]\n`), [
    '/m.yaml:5:3: Cannot use sessionAffinity "ClientIP": session affinity cannot be built yet',
  ]);
  t.same(load(`${service}  ports: [{ port: 1, nodePort: 30000 }]\n`), [
    '/m.yaml:5:32: A "nodePort" wants "type: NodePort"',
  ]);
  const names = ['m.yaml', './m.yaml', path.join(directory, 'm.yaml')];
  const twice = faultsOf(`name: a\nnodes: [a]\nmanifests: ${JSON.stringify(names)}\n`, file);
  t.match(
    twice.filter((fault) => fault.startsWith(file)),
    [/:3:22: Manifest "\.\/m\.yaml" is named twice$/, /:3:33: Manifest "\/.*" is named twice$/],
    'however it is spelt',
  );
});

t.test('every topology of the project loads', async (t) => {
  const files = readdirSync(TOPOLOGIES).filter((file) => file.endsWith('.yaml'));
  t.ok(files.length >= 3);
  for (const file of files) {
    const topology = loadTopology(path.join(TOPOLOGIES, file));
    const isWorldOfVerb = ['claims.yaml', 'grid.yaml', 'mutation.yaml'].includes(file);
    t.ok(isWorldOfVerb || topology.scenarios.length > 0, file);
    const text = readFileSync(path.join(TOPOLOGIES, file), 'utf8');
    t.match(text, /^# yaml-language-server: \$schema=schema\.json\n/, `${file} names its schema`);
  }
});

t.test('schema.json is what the schema says', async (t) => {
  const stored: unknown = JSON.parse(readFileSync(path.join(TOPOLOGIES, 'schema.json'), 'utf8'));
  t.same(stored, JSON.parse(renderJsonSchema()), 'run `npx tsx topologies/write-schema.ts`');
});

t.test('programOf() tells built-ins, commands and waiting apart', async (t) => {
  const container = { name: 'c', image: 'nginx' };
  t.equal(programOf(container), undefined);
  t.same(programOf({ ...container, command: ['nginx', '-g'], args: ['x'] }), {
    kind: 'command',
    argv: ['nginx', '-g', 'x'],
  });
  t.same(programOf({ ...container, command: ['/bin/sleep', 'infinity'] }), { kind: 'idle' });
  t.same(programOf({ ...container, command: ['sh', '-c', 'sleep 1d'] }), { kind: 'idle' });
  t.same(programOf({ ...container, command: ['sh', '-c', 'sleep 1; nc -l 80'] })?.kind, 'command');
  t.same(programOf({ name: 'c', image: 'docker.io/kennethreitz/httpbin' }), {
    kind: 'http',
    ports: [80],
  });
  t.same(
    programOf({
      name: 'c',
      image: 'docker.io/kong/httpbin:0.2',
      command: ['gunicorn', '-b', '[::]:8080', 'httpbin:app'],
      ports: [{ containerPort: 80 }],
    }),
    { kind: 'http', ports: [8080] },
  );
  t.same(
    programOf({
      name: 'c',
      image: 'ambient-lab/udp-echo',
      ports: [{ containerPort: 53, protocol: 'UDP' }, { containerPort: 80 }],
    }),
    { kind: 'udp-echo', ports: [53] },
  );
  t.equal(repositoryOf('docker.io/library/busybox:1.36@sha256:00'), 'busybox');
  t.equal(repositoryOf('localhost:5000/a/b:1'), 'a/b');
});

t.test('nearest() finds slips and nothing else', async (t) => {
  t.equal(nearest('nodess', ['name', 'nodes']), 'nodes');
  t.equal(nearest('seelp', ['sleep', 'steep']), 'sleep');
  t.equal(nearest('scen', ['services', 'scenarios']), 'scenarios');
  t.equal(nearest('zebra', ['name', 'nodes']), undefined);
  t.equal(nearest('x'.repeat(100_000), ['x']), undefined);
});

t.test('guests and questions have their own faults', (t) => {
  t.match(parseRequestTarget('dns://a.b/AAAA'), { scheme: 'dns', port: 53, path: 'AAAA' });
  t.match(parseRequestTarget('dns-tcp://a.b'), { host: { name: 'a.b' }, path: 'A' });
  t.equal(parseRequestTarget('dns://a.b:53'), 'Request target "dns://a.b" takes no port');
  t.match(parseRequestTarget('dns://a.b/MX'), /^Not a type of record "MX": want one of A, /);
  t.match(parseRequestTarget('dns://pod:x'), /^Not a name to ask for "pod:x"$/);
  const withGuest = (name: string): (() => unknown) => {
    const text = `name: g\nnodes: [n]\nworkloads: { vm: { guest: ${name} } }\n`;
    return () => parseTopology(text, 't.yaml');
  };
  t.throws(withGuest('eth0'), {
    code: 'TOPOLOGY_INVALID',
    message: /t.yaml:3:\d+: Not an interface for a guest "eth0"/,
  });
  t.throws(withGuest("'a b'"), { message: /Not an interface for a guest "a b"/ });
  t.doesNotThrow(withGuest('k6t-eth0'));
  t.end();
});

t.test('parseRequestTarget() and parseLegNotation() read what people write', async (t) => {
  t.match(parseRequestTarget('http://pod:demo/httpbin:8080/get?a=b'), {
    host: { kind: 'pod', pod: 'demo/httpbin' },
    port: 8080,
    path: '/get?a=b',
  });
  t.match(parseRequestTarget('http://httpbin.demo'), { port: 80, path: '/' });
  t.match(parseRequestTarget('tcp://10.0.0.1:9'), { host: { kind: 'address' }, port: 9 });
  t.type(parseRequestTarget('tcp://10.0.0.1'), 'string');
  t.type(parseRequestTarget('http://pod:a/b'), 'string', 'a pod without a port is ambiguous');
  t.type(parseRequestTarget('http://a:0/'), 'string');
  t.same(parseLegNotation('ztunnel(node1) -> httpbin:15008 hbone'), {
    from: { name: 'ztunnel', node: 'node1' },
    to: { name: 'httpbin' },
    port: 15008,
    encapsulation: 'hbone',
  });
  t.equal(parseLegNotation('a -> b'), undefined);
});

t.test('parseIp(), parseIpRange() and rangesOverlap() agree with the field', async (t) => {
  t.same(parseIp('1.2.3.4'), { family: 'IPv4', value: 0x01020304n });
  t.same(parseIp('255.255.255.255'), { family: 'IPv4', value: 2n ** 32n - 1n });
  t.same(parseIp('fd00::1:2'), { family: 'IPv6', value: (0xfdn << 120n) + 0x10002n });
  t.same(parseIp('::ffff:1.2.3.4')?.value, 0xffff01020304n);
  for (const bad of ['1.2.3', '256.1.1.1', '01.2.3.4', '1.2.3.4.5', '', '1::2::3', 'fe80::1%lo']) {
    t.equal(parseIp(bad), undefined, bad);
  }
  for (const [text, canonical] of [
    ['FD00:0010:0096:0:0:0:0:A', 'fd00:10:96::a'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ] as const) {
    t.equal(canonicalIp(text), canonical, text);
  }
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), (value) => {
      const text = formatIp('IPv6', value);
      return parseIp(text)?.value === value && canonicalIp(text) === text;
    }),
  );
  t.equal(parseIpRange('10.0.0.1/24'), undefined, 'host bits are set');
  t.equal(parseIpRange('fd00::1/64'), undefined, 'host bits are set');
  for (const bad of ['10.0.0.0/33', 'fd00::/129', 'fd00::', 'fd00::/064', '/8']) {
    t.equal(parseIpRange(bad), undefined, bad);
  }
  const overlap = (a: string, b: string): boolean =>
    rangesOverlap(parseIpRange(a)!, parseIpRange(b)!);
  t.ok(overlap('10.0.0.0/8', '10.255.255.0/24'));
  t.notOk(overlap('10.0.0.0/24', '10.0.1.0/24'));
  t.ok(overlap('fd00::/56', 'fd00:0:0:ff::/64'));
  t.notOk(overlap('0.0.0.0/0', '::/0'), 'families have nothing in common');
});

t.test('parseTopology() answers damaged text with typed errors only', async (t) => {
  const text = readFileSync(path.join(TOPOLOGIES, 'two-nodes.yaml'), 'utf8');
  let refused = 0;
  const attempt = (damaged: string): boolean => {
    try {
      parseTopology(damaged, path.join(TOPOLOGIES, 'x.yaml'));
    } catch (error) {
      if (!(error instanceof TopologyError)) throw error;
      refused++;
      return (
        error.faults.length > 0 && error.faults.every(({ line, column }) => line > 0 && column > 0)
      );
    }
    return true;
  };
  const edit = fc.tuple(
    fc.nat(text.length),
    fc.nat(12),
    fc.oneof(
      fc.string(),
      fc.constantFrom(
        '{',
        '[',
        '&a ',
        '*a',
        '!Exact ',
        '__proto__: ',
        '? ',
        '|',
        '\t',
        '- ',
        ': ',
        '"',
        '\u0000',
        '---\n',
        '<<: ',
        'constructor',
      ),
    ),
  );
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) =>
      attempt(
        edits.reduce((all, [at, cut, put]) => all.slice(0, at) + put + all.slice(at + cut), text),
      ),
    ),
    { numRuns: 300 },
  );
  t.ok(refused > 100, `the damage was felt ${refused} times`);
});
