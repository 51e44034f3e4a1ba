import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { loadTopology, parseTopology } from '../../topologies/load.ts';
import { PlanError } from '../../lab/plan/errors.ts';
import { chainName, linkNames, macOf } from '../../lab/plan/hash.ts';
import { findParty, findPod, findService, resolveTarget } from '../../lab/plan/names.ts';
import type { Plan } from '../../lab/plan/plan.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { asksForAmbient } from '../../lab/plan/pods.ts';
import { redirectCommands } from '../../lab/run/redirect-commands.ts';
import { ERA_NAMES } from '../../topologies/era.ts';
import { renderCommands, renderObjects } from '../../lab/plan/render.ts';
import { renderStaticConfig } from '../../lab/plan/static-config.ts';
import { sysctlsIfPresent, sysctlsOf } from '../../lab/plan/sysctls.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const GOLDEN = path.join(import.meta.dirname, '../fixtures/plan');

function planOf(name: string): Plan {
  return planLab(loadTopology(path.join(ROOT, 'topologies', `${name}.yaml`)));
}

function planText(text: string): Plan {
  return planLab(parseTopology(text, 't.yaml'));
}

/** Compares with a reviewed file; `UPDATE_GOLDEN=1` writes it. */
function golden(t: Test, name: string, text: string): void {
  const file = path.join(GOLDEN, name);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(GOLDEN, { recursive: true });
    writeFileSync(file, text);
  }
  t.equal(text, readFileSync(file, 'utf8'), name);
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof PlanError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'nothing thrown';
}

t.test('redirectCommands() prints what the agents of each era do, namespace by namespace', (t) => {
  const topology = loadTopology(path.join(ROOT, 'topologies', 'two-nodes.yaml'));
  const signs: Readonly<Record<string, readonly RegExp[]>> = {
    'inpod-redirect': [
      /^ip netns exec sleep\.demo iptables -t nat -A ISTIO_PRERT .*--to-ports 15006/m,
      /^ip netns exec sleep\.demo ip -4 rule add fwmark 0x111\/0xfff pref 32764 lookup 100$/m,
      /^ip netns exec node2 ipset add istio-inpod-probes-v4 10\.244\.2\.3 /m,
    ],
    'inpod-tproxy': [/^ip netns exec httpbin\.demo iptables -t mangle .*-j TPROXY .*15008/m],
    'inpod-nft': [/^ip netns exec sleep\.demo nft 'add rule inet istio-ambient-nat /m],
    geneve: [
      /^ip netns exec node1 ip link add istioout type geneve id 1001 remote 10\.244\.1\.2 /m,
      /^ip netns exec ztunnel-node2\.istio-system iptables -t mangle .*-j TPROXY/m,
    ],
  };
  for (const era of ERA_NAMES) {
    const text = redirectCommands(planLab(topology, { era }));
    for (const sign of signs[era]!) t.match(text, sign, era);
    t.notMatch(text, /legacy\.legacy/, 'a pod outside the mesh gets nothing');
  }
  t.end();
});

t.test('planLab() decides two-nodes as reviewed', async (t) => {
  const plan = planOf('two-nodes');
  const commands = renderCommands(plan).split('\n');
  const withoutSysctls = commands.filter((line) => !line.includes(' sysctl '));
  t.ok(withoutSysctls.length < commands.length);
  golden(t, 'two-nodes.sh', withoutSysctls.join('\n'));
  golden(t, 'two-nodes.objects.yaml', renderObjects(plan));
  const enrolled = plan.pods.filter((pod) => pod.enrolled).map(({ uid }) => uid);
  golden(t, 'two-nodes.ztunnel.yaml', renderStaticConfig(plan, enrolled));
  const roles = (['fabric', 'node', 'pod'] as const).map((role) => {
    const all = { ...sysctlsOf(role), ...sysctlsIfPresent(role) };
    return [`# ${role}`, ...Object.entries(all).map(([key, value]) => `${key} = ${value}`)];
  });
  golden(t, 'sysctls.conf', `${roles.flat().join('\n')}\n`);
});

t.test('planLab() keeps a second pod for each ztunnel when asked, and else none', async (t) => {
  const topology = loadTopology(path.join(ROOT, 'topologies', 'two-nodes.yaml'));
  const plan = planLab(topology, { spareZtunnels: true });
  const spare = { netns: 'ztunnel-node1-b.istio-system', address: '10.244.1.254' };
  t.match(plan.nodes[0], { spareZtunnel: { ...spare, hostLink: 'z-ztunnel' } });
  t.match(
    plan.netns.find(({ name }) => name === spare.netns),
    { role: 'ztunnel', node: 'node1' },
  );
  t.match(findParty(plan, 'ztunnel/node1-b'), { kind: 'ztunnel', ...spare });
  t.notMatch(JSON.stringify(planLab(topology)), /node1-b/);
});

t.test('planLab() gives the same plan each time, and a plain one', async (t) => {
  for (const name of ['two-nodes', 'same-node', 'cluster-manifest']) {
    const [first, second] = [planOf(name), planOf(name)];
    t.equal(JSON.stringify(first), JSON.stringify(second), name);
    t.same(JSON.parse(JSON.stringify(first)), first, `${name} survives JSON`);
  }
});

t.test('planLab() leaves nothing of a plan ambiguous', async (t) => {
  for (const name of ['two-nodes', 'same-node', 'cluster-manifest']) {
    const plan = planOf(name);
    const ends = plan.links.flatMap(({ a, b }) => [a, b]);
    const unique = (values: readonly string[]): boolean => new Set(values).size === values.length;
    t.ok(unique(plan.netns.map((netns) => netns.name)), 'names of netns');
    t.ok(unique(ends.map((end) => `${end.netns}/${end.name}`)), 'links');
    t.ok(unique(ends.map(({ mac }) => mac)), 'MACs');
    t.ok(unique(plan.pods.map(({ address }) => address)), 'addresses');
    t.ok(unique(plan.pods.map(({ uid }) => uid)), 'uids');
    for (const end of ends) {
      t.ok(Buffer.byteLength(end.name) <= 15, end.name);
      t.ok(
        plan.netns.some((netns) => netns.name === end.netns),
        `${end.netns} exists`,
      );
    }
    for (const netns of plan.netns) {
      const links = ends.filter((end) => end.netns === netns.name).map((end) => end.name);
      for (const { link } of [...netns.addresses, ...netns.routes]) t.ok(links.includes(link));
    }
  }
});

const POOR = (more: string): string => `name: poor\nnodes: [node1]\n${more}`;

t.test('planLab() refuses addresses that collide', async (t) => {
  const workload = (address: string): string =>
    POOR(`workloads:\n  a: { address: ${address} }\n  b: {}\n`);
  t.match(
    codeOf(() => planText(workload('10.244.1.1'))),
    /^LAB_PLAN_CONFLICT Cannot give "10.244.1.1" to default\/a: it is in use by the node "node1"/,
  );
  t.match(
    codeOf(() => planText(workload('10.244.1.2'))),
    /in use by the ztunnel of "node1"/,
  );
  t.match(
    codeOf(() => planText(workload('10.244.2.9'))),
    /want one in the pod range 10.244.1.0\/24 of "node1"/,
  );
  t.match(
    codeOf(() => planText(workload('10.244.1.255'))),
    /want one in the pod range/,
  );
  const plan = planText(workload('10.244.1.4'));
  t.same(
    plan.pods.map(({ name, address }) => [name, address]),
    [
      ['coredns', '10.244.1.3'],
      ['a', '10.244.1.4'],
      ['b', '10.244.1.5'],
    ],
    'the next pod steps over a reserved address',
  );
  const small = 'name: s\nnodes: [{ name: n, podRange: 10.9.0.0/28 }]\nmanifests: []\nworkloads:\n';
  const many = Array.from({ length: 12 }, (_, i) => `  w${i}: {}`);
  t.equal(
    codeOf(() => planText(small + many.slice(0, 11).join('\n'))),
    'nothing thrown',
  );
  t.match(
    codeOf(() => planText(small + many.join('\n'))),
    /the pod range 10.9.0.0\/28 is used up/,
  );
});

t.test('planLab() steps out of the way of given pod ranges', async (t) => {
  const plan = planText('name: r\nnodes: [{ name: a, podRange: 10.244.2.0/24 }, b, c]\n');
  t.same(
    plan.nodes.map(({ podRange, gateway, ztunnelAddress, address }) => [
      podRange,
      gateway,
      ztunnelAddress,
      address,
    ]),
    [
      ['10.244.2.0/24', '10.244.2.1', '10.244.2.2', '172.18.0.1'],
      ['10.244.255.0/24', '10.244.255.1', '10.244.255.2', '172.18.0.2'],
      ['10.244.3.0/24', '10.244.3.1', '10.244.3.2', '172.18.0.3'],
    ],
  );
});

t.test('planLab() gives a lab of two families addresses of both', async (t) => {
  const text = (families: string): string =>
    `name: d\nipFamilies: [${families}]\nnodes: [a, { name: b, podRange: "fd00:77::/64" }]\n` +
    'workloads:\n  w: { node: b, app: http }\n  v: { node: b }\nservices:\n' +
    '  one: { selector: w, ports: { 80: 8080 } }\n' +
    '  two: { selector: w, ports: { 80: 8080 }, ipFamilyPolicy: PreferDualStack }\n' +
    '  six: { selector: w, ports: { 80: 8080 }, ipFamilies: [IPv6], clusterIP: "fd00:10:96::101" }\n' +
    '  none: { selector: w, ports: { 80: 8080 }, headless: true, ipFamilyPolicy: PreferDualStack }\n';
  const plan = planText(text('IPv4, IPv6'));
  const [a, b] = plan.nodes;
  t.match(a, { address: '172.18.0.1', second: { address: 'fd00:172:18::1' } });
  t.match(a?.second, { podRange: 'fd00:10:244:1::/64', gateway: 'fd00:10:244:1::1' });
  t.match(b, { podRange: '10.244.2.0/24', second: { podRange: 'fd00:77::/64' } });
  const shown = plan.pods.map(({ name, address, secondAddress }) => [name, address, secondAddress]);
  t.same(shown, [
    ['coredns', '10.244.1.3', 'fd00:10:244:1::3'],
    ['w', '10.244.2.3', 'fd00:77::3'],
    ['v', '10.244.2.4', 'fd00:77::4'],
  ]);
  t.same(
    plan.services.map(({ name, vip, secondVip, ipFamilies }) => [
      name,
      vip,
      secondVip,
      ipFamilies?.join(),
    ]),
    [
      ['kube-dns', '10.96.0.10', 'fd00:10:96::a', 'IPv4,IPv6'],
      ['one', '10.96.1.1', undefined, 'IPv4'],
      ['two', '10.96.1.2', 'fd00:10:96::102', 'IPv4,IPv6'],
      ['six', 'fd00:10:96::101', undefined, 'IPv6'],
      ['none', undefined, undefined, 'IPv4,IPv6'],
    ],
  );
  const file = parse(renderStaticConfig(plan, [])) as {
    workloads: { name: string; workloadIps: string[] }[];
    services: { name: string; vips: string[]; ipFamilies: string }[];
  };
  const w = file.workloads.find(({ name }) => name === 'w');
  t.same(w?.workloadIps, ['10.244.2.3', 'fd00:77::3']);
  t.match(
    file.services.find(({ name }) => name === 'two'),
    { vips: ['/10.96.1.2', '/fd00:10:96::102'], ipFamilies: 'Dual' },
  );
  t.equal(file.services.find(({ name }) => name === 'six')?.ipFamilies, 'IPv6');
  const node = plan.netns.find(({ name }) => name === 'b');
  t.match(node?.restoreIpv6, /-d fd00:10:96::101\/128 -p tcp .* -j KUBE-SVC-/);
  t.match(node?.restoreIpv6, /-j DNAT --to-destination \[fd00:77::3\]:8080/);
  t.notMatch(node?.restore, /fd00:/);
  t.notMatch(node?.restoreIpv6, /10\.96\./);
  const pod = plan.netns.find(({ name }) => name === 'w.default');
  t.match(pod?.resolvConf, /nameserver 10\.96\.0\.10\nnameserver fd00:10:96::a\n/);
  t.match(pod?.routes, [{}, {}, { to: 'fd00:77::1/128' }, { to: 'default', via: 'fd00:77::1' }]);
  const from = findParty(plan, 'v');
  const urlOf = (to: string, family?: 'IPv4' | 'IPv6'): string =>
    resolveTarget(plan, to, from, family).url;
  t.equal(urlOf('http://pod:w:8080/get'), 'http://10.244.2.3:8080/get');
  t.equal(urlOf('http://pod:w:8080/get', 'IPv6'), 'http://[fd00:77::3]:8080/get');
  t.equal(urlOf('tcp://[fd00:77:0::3]:9'), 'tcp://[fd00:77::3]:9');
  t.match(
    codeOf(() => urlOf('http://[fd00:77::3]:9/', 'IPv4')),
    /^LAB_BAD_TARGET/,
  );
  const overlay = planLab(parseTopology(text('IPv6, IPv4'), 't.yaml'), { cni: 'vxlan' });
  const vxlans = overlay.netns.flatMap((netns) => netns.vxlans ?? []);
  t.ok(vxlans.length > 0 && vxlans.every(({ local }) => local.includes(':')), 'carried by IPv6');
  t.ok(
    overlay.links.some(({ mtuBytes }) => mtuBytes === 1430),
    'whose header takes 20 bytes more',
  );
  const turned = planText(text('IPv6, IPv4'));
  t.equal(turned.pods[1]?.address, 'fd00:77::3', 'the first family is the default one');
  t.equal(findService(turned, 'one', 'default').vip, 'fd00:10:96::102');
  t.match(
    codeOf(() => planLab(parseTopology(text('IPv4, IPv6'), 't.yaml'), { era: 'geneve' })),
    /^LAB_PLAN_CONFLICT Cannot use IPv6 in era "geneve"/,
  );
  t.notOk('ipFamilies' in planOf('two-nodes'), 'a lab of IPv4 is planned as ever');
});

t.test('planLab() takes an era by name', async (t) => {
  const topology = loadTopology(path.join(ROOT, 'topologies/two-nodes.yaml'));
  t.equal(planLab(topology, { era: 'inpod-tproxy', lab: 'other' }).era, 'inpod-tproxy');
  t.equal(planLab(topology, { lab: 'other' }).lab, 'other');
  t.match(
    codeOf(() => planLab(topology, { era: 'inpod-tprxy' })),
    /^LAB_UNKNOWN_ERA Cannot plan era "inpod-tprxy": .*\(did you mean "inpod-tproxy"\?\)$/,
  );
});

t.test('planLab() spreads a Deployment, with names that stay the same', async (t) => {
  const { pods, services } = planOf('cluster-manifest');
  const replicas = pods.filter(({ workloadName }) => workloadName === 'httpbin');
  t.same(
    replicas.map(({ node }) => node),
    ['node1', 'node2', 'node1'],
  );
  for (const { name, labels } of replicas) {
    t.match(name, /^httpbin-[bcdfghj-np-tv-xz2-9]{10}-[bcdfghj-np-tv-xz2-9]{5}$/);
    t.equal(labels['pod-template-hash'], name.split('-')[1]);
  }
  const service = services.find(({ name }) => name === 'httpbin')!;
  t.equal(service.endpoints.length, 3);
  t.equal(service.ports[0]!.targetPort, 8080, 'the named port is found in the pods');
});

t.test('asksForAmbient() follows the labels as istio-cni does', async (t) => {
  const label = 'istio.io/dataplane-mode';
  const pod = (mode?: string, more = {}): Parameters<typeof asksForAmbient>[0] => ({
    namespace: 'demo',
    labels: mode === undefined ? {} : { [label]: mode },
    annotations: {},
    ...more,
  });
  t.equal(asksForAmbient(pod(), undefined), false);
  t.equal(asksForAmbient(pod(), 'ambient'), true);
  t.equal(asksForAmbient(pod('none'), 'ambient'), false);
  t.equal(asksForAmbient(pod('ambient'), 'none'), true);
  t.equal(asksForAmbient(pod('ambient', { namespace: 'kube-system' }), 'ambient'), false);
  const injected = { annotations: { 'sidecar.istio.io/status': '{}' } };
  t.equal(asksForAmbient(pod('ambient', injected), 'ambient'), false);
});

t.test('chainName() names chains as kube-proxy does', async (t) => {
  // Chains of the DNS service are the same in every cluster, as its names are.
  t.equal(chainName('KUBE-SVC-', 'kube-system/kube-dns:dns', 'udp'), 'KUBE-SVC-TCOU7JCQXEZGVUNU');
  t.equal(
    chainName('KUBE-SVC-', 'kube-system/kube-dns:dns-tcp', 'tcp'),
    'KUBE-SVC-ERIFXISQEP7F7OF4',
  );
});

t.test('linkNames() fits the kernel and keeps names apart', async (t) => {
  const long = 'a-very-long-name-of-a-pod';
  const words = ['sleep', 'twin', 'twin', long, `${long}2`].map((word, i) => ({
    word,
    key: `${i}`,
  }));
  const names = linkNames('v-', words);
  t.equal(names[0], 'v-sleep');
  t.equal(new Set(names).size, names.length);
  for (const name of names) t.ok(name.length <= 15, name);
  t.match(macOf('sleep.demo', 'eth0'), /^02(:[0-9a-f]{2}){5}$/);
});

t.test('renderStaticConfig() writes what ztunnel reads', async (t) => {
  const plan = planText(
    POOR(
      [
        'workloads:',
        '  a: { app: http, policies: [default/p] }',
        'services: { a: { selector: a, ports: { 80: 8080 } } }',
        'policies:',
        '  - { name: p, namespace: default, scope: WorkloadSelector, action: Deny, dryRun: false,',
        '      rules: [[[{ principals: [!Exact x/y, !Presence []], destinationPorts: [80] }]]] }',
      ].join('\n'),
    ),
  );
  const pod = findPod(plan, 'a');
  const text = renderStaticConfig(plan, [pod.uid]);
  t.match(text, /- !Exact x\/y\n/);
  t.match(text, /- !Presence \[\]\n/);
  t.match(text, /default\/a\.default\.svc\.cluster\.local:\n\s+80: 8080\n/, 'ports are numbers');
  t.notMatch(text, /[&*][a-z]\d/, 'no aliases');
  const { workloads } = parse(text, { logLevel: 'silent' }) as {
    workloads: Record<string, unknown>[];
  };
  const find = (uid: string): Record<string, unknown> =>
    workloads.find((one) => one['uid'] === uid) ?? {};
  t.match(find('Kubernetes//Pod/default/a'), {
    protocol: 'HBONE',
    authorizationPolicies: ['default/p'],
    workloadIps: [pod.address],
  });
  t.match(find('Kubernetes//Pod/istio-system/ztunnel-node1'), { protocol: 'TCP' });
  const without = renderStaticConfig(plan, []);
  t.notMatch(without, /HBONE/, 'nobody is enrolled, nobody speaks HBONE');
});

t.test('findPod(), findParty() and findService() know what people write', async (t) => {
  const plan = planOf('two-nodes');
  for (const word of ['sleep', 'demo/sleep', 'sleep.demo']) {
    t.equal(findPod(plan, word).netns, 'sleep.demo', word);
  }
  t.match(findParty(plan, 'node2'), { kind: 'node', address: '172.18.0.2' });
  t.match(findParty(plan, 'outside'), { kind: 'outside', netns: 'outside' });
  t.match(findParty(plan, 'ztunnel(node2)'), { netns: 'ztunnel-node2.istio-system' });
  t.equal(findService(plan, 'httpbin', 'demo').vip, '10.96.1.1');
  t.match(
    codeOf(() => findService(plan, 'httpbin', 'legacy')),
    /^LAB_UNKNOWN_SERVICE/,
  );
  t.match(
    codeOf(() => findPod(plan, 'slep')),
    /^LAB_UNKNOWN_POD Cannot find the pod "slep": the lab has .* \(did you mean "sleep"\?\)$/,
  );
  t.match(
    codeOf(() => findParty(plan, 'nod2')),
    /did you mean "node2"/,
  );
  const replicas = planOf('cluster-manifest');
  t.match(findPod(replicas, 'sleep').name, /^sleep-/, 'the one replica of a Deployment');
  t.match(
    codeOf(() => findPod(replicas, 'httpbin')),
    /^LAB_AMBIGUOUS_POD .*httpbin-/,
  );
});

t.test('resolveTarget() finds the address a request goes to', async (t) => {
  const plan = planOf('two-nodes');
  const [sleep, node] = [findParty(plan, 'sleep'), findParty(plan, 'node1')];
  const urlOf = (to: string, from = sleep): string => resolveTarget(plan, to, from).url;
  t.equal(urlOf('http://httpbin:8000/get'), 'http://httpbin:8000/get', 'the pod asks its DNS');
  t.equal(resolveTarget(plan, 'http://httpbin.demo:8000/', node).address, '10.96.1.1');
  t.equal(urlOf('http://pod:httpbin:8080/get?a'), 'http://10.244.2.3:8080/get?a');
  t.equal(urlOf('tcp://node:node2:30080'), 'tcp://172.18.0.2:30080');
  t.equal(urlOf('http://outside:8080/'), 'http://172.18.255.2:8080/');
  t.equal(urlOf('http://self:8080/'), 'http://10.244.1.4:8080/');
  t.match(
    codeOf(() => urlOf('ftp://x')),
    /^LAB_BAD_TARGET/,
  );
});
