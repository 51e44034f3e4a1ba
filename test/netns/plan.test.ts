import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import type { Plan } from '../../lab/plan/plan.ts';
import { renderCommands } from '../../lab/plan/render.ts';
import { parseTopology } from '../../topologies/load.ts';

const TOPOLOGY = `
name: net
nodes: [node1, node2]
workloads:
  sleep: { node: node1 }
  web1: { node: node1, app: http, labels: { role: web } }
  web2: { node: node2, app: http, labels: { role: web } }
  web3: { node: node2, app: http, labels: { role: web } }
services:
  web: { selector: { role: web }, ports: { 80: 8080 } }
  far: { selector: web2, ports: { 80: 8080 }, nodePort: 30080 }
  nobody: { selector: { role: nobody }, ports: { 80: 8080 }, nodePort: 30081 }
  dns: { selector: web2, ports: { 53/udp: 9053 } }
`;

/** Says the address it sees, over HTTP on 8080 and UDP on 9053. */
const SERVER = `
require('http').createServer((q, r) => r.end(q.socket.remoteAddress)).listen(8080, '0.0.0.0');
const u = require('dgram').createSocket('udp4');
u.on('message', (_, from) => u.send(from.address, from.port, from.address)).bind(9053);
`;

const plan = planLab(parseTopology(TOPOLOGY, 'net.yaml'));
const vips = new Map(plan.services.map(({ name, vip }) => [name, vip ?? '']));
const addresses = new Map(plan.pods.map(({ name, address }) => [name, address]));

/** Requests and what the server must have seen as source; no source means nobody may answer. */
const REQUESTS: readonly (readonly [string, string, string, string?])[] = [
  [
    'pod to a service on the other node',
    'sleep.default',
    `${vips.get('far')}:80`,
    addresses.get('sleep')!,
  ],
  ['pod to itself by its service', 'web2.default', `${vips.get('far')}:80`, '10.244.2.1'],
  ['pod to a pod', 'sleep.default', `${addresses.get('web2')}:8080`, addresses.get('sleep')!],
  ['node to a service on the other node', 'node1', `${vips.get('far')}:80`, '172.18.0.1'],
  ['node to its own pod', 'node2', `${addresses.get('web2')}:8080`, '10.244.2.1'],
  ['outside to a node port, pod elsewhere', 'outside', '172.18.0.1:30080', '172.18.0.1'],
  ['outside to a node port, pod there', 'outside', '172.18.0.2:30080', '10.244.2.1'],
  ['pod to a node port', 'sleep.default', '172.18.0.2:30080', '10.244.2.1'],
  ['node to its own node port', 'node1', '172.18.0.1:30080', '172.18.0.1'],
  [
    'pod to an address outside, under its node’s',
    'sleep.default',
    '172.18.255.2:8080',
    '172.18.0.1',
  ],
  ['outside to a pod', 'outside', `${addresses.get('web2')}:8080`],
  ['pod to a service without pods', 'sleep.default', `${vips.get('nobody')}:80`],
  ['node to a service without pods', 'node1', `${vips.get('nobody')}:80`],
  ['outside to a node port without pods', 'outside', '172.18.0.1:30081'],
  ['outside to a port that is no node port', 'outside', '172.18.0.1:30099'],
];

const ROUNDS = 60;

/** Builds the plan from its own printed commands, makes the requests, prints one line for each. */
function drive(directory: string): string[] {
  const clients = REQUESTS.map(
    ([, from, to]) => `timeout 5 ip netns exec ${from} curl -s -m 4 http://${to}/; echo " rc=$?"`,
  );
  const udp = `require("dgram").createSocket("udp4").on("message", (m) => { console.log(String(m)); process.exit(); }).send("x", 53, "${vips.get('dns')}"); setTimeout(() => process.exit(1), 3000)`;
  const urls = `http://${vips.get('web')}/?[1-${ROUNDS}]`;
  const servers = ['web1.default', 'web2.default', 'web3.default', 'outside'];
  writeFileSync(path.join(directory, 'server.cjs'), SERVER);
  const build = renderCommands(plan).replaceAll('/etc/netns', `${directory}/etc`);
  writeFileSync(path.join(directory, 'build.sh'), build);
  const script = [
    'set -e',
    'mount -t tmpfs tmpfs /run',
    `sh ${directory}/build.sh`,
    ...servers.map((netns) => `ip netns exec ${netns} node ${directory}/server.cjs &`),
    'for netns in ' + servers.join(' ') + '; do',
    '  for i in $(seq 100); do ip netns exec $netns ss -Hltn | grep -q :8080 && break; sleep 0.1; done',
    'done',
    'set +e',
    ...clients,
    `ip netns exec sleep.default node -e '${udp}'`,
    // A connection each, so that each is a choice of its own.
    `ip netns exec sleep.default curl -s -m 20 -H 'Connection: close' '${urls}' >/dev/null; echo " rc=$?"`,
    'ip netns exec node1 iptables-save -c -t nat',
    'echo =====',
    'ip netns exec node1 iptables-save',
    'echo =====',
    'for netns in node1 sleep.default; do ip -n $netns -6 addr show scope link; done',
    'echo =====',
    'ls /run/netns',
  ];
  writeFileSync(path.join(directory, 'drive.sh'), script.join('\n'));
  const flags = ['-mnpf', '--kill-child', '--mount-proc', '--propagation', 'private'];
  const run = spawnSync('unshare', [...flags, 'bash', path.join(directory, 'drive.sh')], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  if (run.status !== 0) throw new Error(`Cannot build the plan: ${run.stderr}`);
  return run.stdout.split('\n');
}

t.test('the printed commands build a network in which services work', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'plan-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const before = hostState();
  const lines = drive(directory);
  for (const [index, [name, , , source]] of REQUESTS.entries()) {
    if (source === undefined) t.match(lines[index], /^ rc=(7|28)$/, `${name}: nobody answers`);
    else t.equal(lines[index], `${source} rc=0`, `${name}: the source is ${source}`);
  }
  t.equal(lines[REQUESTS.length], addresses.get('sleep'), 'a UDP service keeps the source');
  t.match(lines[REQUESTS.length + 1], /rc=0$/, 'all rounds were answered');

  const [counted = '', saved = '', linkLocal, netns] = lines.join('\n').split('=====\n');
  const endings = [
    ...counted.matchAll(/^\[(\d+):\d+\] -A (KUBE-SEP-\S+) .*"default\/web:port-80".* -j DNAT/gm),
  ];
  t.equal(endings.length, 3);
  const packets = endings.map((match) => Number(match[1]));
  t.equal(
    packets.reduce((a, b) => a + b),
    ROUNDS,
    'each connection chose one endpoint',
  );
  t.ok(
    packets.every((count) => count > 0),
    `each endpoint was chosen: ${packets.join(', ')}`,
  );

  t.same(
    rulesOf(saved),
    rulesOf(restoreOf(plan, 'node1')),
    'the kernel holds the rules as written',
  );
  t.equal(linkLocal, '', 'no link has an IPv6 address');
  t.same(netns?.trim().split('\n').sort(), plan.netns.map(({ name }) => name).sort());
  t.equal(hostState(), before, 'the machine is as it was');
});

t.test('renderKubeProxy() loads in both kinds of iptables', async (t) => {
  const input = restoreOf(plan, 'node1');
  const load = (program: string, text: string): string => {
    const run = spawnSync('unshare', ['-n', program], {
      input: text,
      encoding: 'utf8',
      timeout: 20_000,
    });
    return run.status === 0 ? 'loads' : run.stderr;
  };
  t.equal(load('iptables-nft-restore', input), 'loads');
  const broken = input.replace('-j KUBE-MARK-MASQ', '-j NOWHERE');
  t.not(load('iptables-nft-restore', broken), 'loads', 'a broken text would not');
  const legacy = load('iptables-legacy-restore', '*nat\nCOMMIT\n');
  if (legacy !== 'loads') {
    t.pass('legacy iptables', { skip: `the kernel lacks it: ${legacy.split('\n')[0]}` });
    return;
  }
  t.equal(load('iptables-legacy-restore', input), 'loads');
  t.not(load('iptables-legacy-restore', broken), 'loads', 'a broken text would not');
});

function restoreOf({ netns }: Plan, name: string): string {
  return netns.find((one) => one.name === name)?.restore ?? '';
}

/** Rules as iptables-save writes them, whatever the order of chains; probabilities rounded. */
function rulesOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('-A'))
    .map((line) => line.replace(/(--probability 0\.\d{6})\d*/, '$1'))
    .sort();
}

function hostState(): string {
  return ['ip -o link', 'ip route show table all', 'ip netns', 'ls /etc']
    .map((command) => execFileSync('sh', ['-c', command], { encoding: 'utf8' }))
    .join('\n');
}
