import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t from 'tap';
import { agentClient } from '../../dataplane/agent/client.ts';
import type { AgentClient } from '../../dataplane/agent/client.ts';
import type { EnrolRequest } from '../../dataplane/agent/api.ts';
import { applyRules } from '../../dataplane/agent/apply-rules.ts';
import { listMembers } from '../../dataplane/agent/address-set.ts';
import { runProgram } from '../../dataplane/agent/programs.ts';
import { closeNetns, createNetns, netnsInode, withNetns } from '../../dataplane/kernel/netns.ts';
import { SeqpacketConnection } from '../../dataplane/kernel/seqpacket.ts';
import type { SeqpacketMessage } from '../../dataplane/kernel/seqpacket.ts';
import { readSettings } from '../../dataplane/agent/settings.ts';
import { closeFd } from '../../dataplane/kernel/sockets.ts';
import { probeSet } from '../../dataplane/redirect/host-rules.ts';
import { podRules } from '../../dataplane/redirect/pod-rules.ts';
import { decodeWorkloadRequest, encodeHello } from '../../dataplane/zds/zds.ts';
import { encodeWorkloadResponse } from '../../dataplane/zds/zds.ts';
import type { WorkloadRequest } from '../../dataplane/zds/zds.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

const MAIN = fileURLToPath(new URL('../../dataplane/agent/main.ts', import.meta.url));
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const UNAVAILABLE = {
  code: 'DATAPLANE_AGENT_ZTUNNEL_UNAVAILABLE',
  statusCode: 503,
  retryable: true,
};
const PROBES = probeSet('1.27', 'ipv4');

interface Node extends AsyncDisposable {
  readonly directory: string;
  readonly netns: number;
  readonly zdsSocket: string;
  readonly client: AgentClient;
  start(env?: Record<string, string>): Promise<Agent>;
  pod(name: string): Pod;
}

interface Agent extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly log: Record<string, unknown>[];
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

interface Pod {
  readonly netns: number;
  readonly request: EnrolRequest;
}

/** A node: a netns of its own, a directory for sockets, and what runs there ended with the block. */
function makeNode(): Node {
  const directory = mkdtempSync(join(tmpdir(), 'agent-test-'));
  const netns = createNetns();
  const pods: number[] = [];
  const agents: Agent[] = [];
  const zdsSocket = join(directory, 'zds.sock');
  const pluginSocket = join(directory, 'plugin.sock');
  return {
    directory,
    netns,
    zdsSocket,
    client: agentClient(pluginSocket),
    async start(env = {}) {
      const agent = await startAgent(netns, {
        NODE_NAME: 'node1',
        ZDS_SOCKET: zdsSocket,
        PLUGIN_SOCKET: pluginSocket,
        LOG_LEVEL: 'debug',
        ...env,
      });
      agents.push(agent);
      return agent;
    },
    pod(name) {
      const pod = createNetns();
      pods.push(pod);
      withNetns(pod, () => execFileSync('ip', ['link', 'set', 'lo', 'up']));
      return {
        netns: pod,
        request: {
          uid: `uid-${name}`,
          name,
          namespace: 'demo',
          serviceAccount: `${name}-account`,
          netns: `/proc/${process.pid}/fd/${pod}`,
          ips: [`10.0.0.${10 + pods.length}`],
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const agent of agents) await agent[Symbol.asyncDispose]();
      for (const fd of [netns, ...pods]) closeNetns(fd);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function startAgent(netns: number, env: Record<string, string>): Promise<Agent> {
  const child = withNetns(netns, () =>
    spawn(process.execPath, ['--import', TSX, MAIN], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  const log: Record<string, unknown>[] = [];
  let stderr = '';
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString()));
  const exit = once(child, 'exit');
  const ready = new Promise<void>((resolve) => {
    createInterface(child.stdout).on('line', (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>;
      log.push(entry);
      if (entry['msg'] === 'ready') resolve();
    });
  });
  await Promise.race([
    ready,
    exit.then(([code]) => {
      throw new Error(`agent ended with ${String(code)}: ${stderr}`);
    }),
  ]);
  return {
    process: child,
    log,
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      const [code] = (await exit) as [number | null];
      return code;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exit;
    },
  };
}

interface Seen {
  readonly request: WorkloadRequest;
  /** Inodes of the descriptors that came along. */
  readonly netns: readonly number[];
}

/** A hand-made ztunnel: acks what `answer` says, '' for success, nothing at all for undefined. */
class Peer implements Disposable {
  readonly seen: Seen[] = [];
  readonly #connection: SeqpacketConnection;
  isClosed = false;

  private constructor(connection: SeqpacketConnection, answer: Answer) {
    this.#connection = connection;
    connection.on('close', () => (this.isClosed = true));
    connection.on('message', (message) => void this.#onMessage(message, answer));
  }

  static async connect(path: string, answer: Answer = () => ''): Promise<Peer> {
    const peer = new Peer(SeqpacketConnection.connect(path), answer);
    await peer.#connection.send(encodeHello());
    return peer;
  }

  get kinds(): readonly string[] {
    return this.seen.map(({ request }) =>
      'uid' in request ? `${request.kind} ${request.uid}` : request.kind,
    );
  }

  async until(kind: string): Promise<void> {
    await eventually(() => this.kinds.includes(kind), `ztunnel is sent "${kind}"`);
  }

  send(data: Buffer): Promise<void> {
    return this.#connection.send(data);
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  async #onMessage(message: SeqpacketMessage, answer: Answer): Promise<void> {
    const netns = message.fds.map((fd) => netnsInode(fd));
    for (const fd of message.fds) closeFd(fd);
    const request = decodeWorkloadRequest(message.data);
    this.seen.push({ request, netns });
    const error = answer(request);
    if (error !== undefined) await this.send(encodeWorkloadResponse({ kind: 'ack', error }));
  }
}

type Answer = (request: WorkloadRequest) => string | undefined;

async function eventually(claim: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = Date.now() + 10_000;
  while (!(await claim())) {
    if (Date.now() > endMs) throw new Error(`not within 10 s: ${what}`);
    await sleep(10);
  }
}

const rulesIn = (netns: number): Promise<string> =>
  runProgram(['iptables-save'], { netns }).then((text) => text.replaceAll(/^#.*\n/gm, ''));

const members = async (node: Node) => listMembers({ netns: node.netns }, PROBES);

t.setTimeout(120_000);

t.test('NodeAgent enrols in the order of upstream, and lets go in it', async (t) => {
  await using node = makeNode();
  await using agent = await node.start();
  t.match(
    await rulesIn(node.netns),
    /--match-set istio-inpod-probes-v4 dst -j SNAT --to-source 169.254.7.127/,
  );
  const pod = node.pod('sleep');
  const moments: string[] = [];
  const look = async (at: string): Promise<void> => {
    const hasRules = (await rulesIn(pod.netns)).includes('ISTIO_OUTPUT');
    moments.push(`${at}: rules ${hasRules}, set ${(await members(node)).length}`);
  };
  using peer = await Peer.connect(node.zdsSocket, (request) => {
    if (request.kind === 'snapshotSent') return '';
    void look(request.kind).then(() => peer.send(encodeWorkloadResponse()));
    return undefined;
  });
  await peer.until('snapshotSent');
  t.match(await node.client.status(), {
    node: 'node1',
    era: 'inpod-redirect',
    ztunnel: { connected: true, connections: [{ phase: 'live' }] },
    pods: [],
  });

  const status = await node.client.enrol(pod.request);
  t.match(status, { state: 'enrolled', rules: 'applied', acked: true, redirection: 'enabled' });
  t.same(peer.kinds, ['snapshotSent', 'add uid-sleep']);
  t.match(peer.seen[1], {
    request: {
      workloadInfo: { name: 'sleep', namespace: 'demo', serviceAccount: 'sleep-account' },
    },
    netns: [netnsInode(pod.netns)],
  });
  t.same(moments, ['add: rules true, set 0'], 'rules before ztunnel, ztunnel before the set');
  t.same(await members(node), [{ address: '10.0.0.11', uid: 'uid-sleep' }]);
  const first = await rulesIn(pod.netns);

  t.match(await node.client.enrol(pod.request), { state: 'enrolled', rules: 'unchanged' });
  t.equal(await rulesIn(pod.netns), first);

  await node.client.leave({ uid: 'uid-sleep' });
  t.equal(moments.at(-1), 'del: rules true, set 1', 'ztunnel lets go before rules and set go');
  t.notMatch(await rulesIn(pod.netns), /ISTIO/);
  t.same(await members(node), []);
  t.same(await node.client.pods(), []);
  await t.rejects(node.client.leave({ uid: 'uid-sleep' }), {
    code: 'DATAPLANE_AGENT_POD_UNKNOWN',
    statusCode: 404,
  });

  await node.client.enrol(pod.request);
  t.equal(await rulesIn(pod.netns), first, 'leave and enrol leave no difference');
  await node.client.leave({ uid: 'uid-sleep', deleted: true });
  t.equal(moments.at(-1), 'del: rules true, set 0', 'a deleted pod leaves the set first');
  t.equal(await rulesIn(pod.netns), first, 'and its rules die with its netns');
  t.equal(await agent.end(), 0);
  t.notMatch(await rulesIn(node.netns), /ISTIO/, 'the node is clean after the agent');
  t.equal(await rulesIn(pod.netns), first);
});

t.test(
  'ZdsServer sends each ztunnel a snapshot, additions to the newest, removals to all',
  async (t) => {
    await using node = makeNode();
    await using _agent = await node.start();
    using first = await Peer.connect(node.zdsSocket);
    await first.until('snapshotSent');
    const [a, b, c] = [node.pod('a'), node.pod('b'), node.pod('c')];
    await node.client.enrol(a.request);
    await node.client.enrol(b.request);

    using second = await Peer.connect(node.zdsSocket);
    await second.until('snapshotSent');
    t.same(second.kinds, ['add uid-a', 'add uid-b', 'snapshotSent']);
    t.same(
      second.seen.map(({ netns }) => netns),
      [[netnsInode(a.netns)], [netnsInode(b.netns)], []],
    );
    await node.client.enrol(c.request);
    await node.client.leave({ uid: 'uid-a' });
    t.same(first.kinds, ['snapshotSent', 'add uid-a', 'add uid-b', 'del uid-a']);
    t.same(second.kinds.slice(3), ['add uid-c', 'del uid-a']);

    second[Symbol.dispose]();
    await eventually(
      async () => (await node.client.status()).ztunnel.connections.length === 1,
      'the agent sees the second go',
    );
    await node.client.enrol(a.request);
    t.equal(first.kinds.at(-1), 'add uid-a', 'the older one is the newest again');
    using third = await Peer.connect(node.zdsSocket);
    await third.until('snapshotSent');
    t.same([...third.kinds].sort(), ['add uid-a', 'add uid-b', 'add uid-c', 'snapshotSent']);
  },
);

t.test('ZdsServer ends conversations that are none', async (t) => {
  await using node = makeNode();
  await using _agent = await node.start({ ZDS_DEADLINE_MS: '300' });
  const cases: readonly [string, Buffer][] = [
    ['bytes that are no hello', Buffer.from('ffffffff', 'hex')],
    ['a packet that is too long', Buffer.alloc(5000, 8)],
  ];
  for (const [what, bytes] of cases) {
    using raw = SeqpacketConnection.connect(node.zdsSocket);
    const closed = once(raw, 'close');
    raw.on('message', () => {});
    await raw.send(bytes);
    await closed;
    t.pass(what);
  }
  using mute = SeqpacketConnection.connect(node.zdsSocket);
  mute.on('message', () => {});
  await once(mute, 'close');
  t.pass('no hello within the deadline');

  using chatty = await Peer.connect(node.zdsSocket);
  await chatty.until('snapshotSent');
  await sleep(50);
  await chatty.send(encodeWorkloadResponse());
  await eventually(() => chatty.isClosed, 'an answer without a question ends it');

  using garbled = await Peer.connect(node.zdsSocket, (request) =>
    request.kind === 'snapshotSent' ? '' : undefined,
  );
  await garbled.until('snapshotSent');
  const enrolment = node.client.enrol({ ...node.pod('x').request, timeoutMs: 200 });
  const failed = t.rejects(enrolment, UNAVAILABLE);
  await garbled.until('add uid-x');
  await garbled.send(Buffer.from('0aff', 'hex'));
  await failed;
  await eventually(() => garbled.isClosed, 'an answer that is none ends it');

  using good = await Peer.connect(node.zdsSocket);
  await good.until('snapshotSent');
  t.same(good.kinds, ['add uid-x', 'snapshotSent'], 'and the next one is served');
});

t.test('NodeAgent fails retryably without ztunnel, and finishes when one comes', async (t) => {
  await using node = makeNode();
  await using _agent = await node.start({ ZDS_DEADLINE_MS: '300' });
  const pod = node.pod('sleep');
  const startMs = Date.now();
  await t.rejects(node.client.enrol({ ...pod.request, timeoutMs: 250 }), UNAVAILABLE);
  t.ok(Date.now() - startMs >= 250, 'after the time it was given');
  t.match(await node.client.pods(), [
    { state: 'pending', redirection: 'pending', acked: false, error: { retryable: true } },
  ]);
  t.match(await rulesIn(pod.netns), /ISTIO_OUTPUT/, 'rules are in: nothing leaves unencrypted');

  const waiting = node.client.enrol({ ...node.pod('later').request, timeoutMs: 8000 });
  await sleep(100);
  using peer = await Peer.connect(node.zdsSocket);
  t.match(await waiting, { state: 'enrolled' }, 'a ztunnel that comes in time is enough');
  await eventually(
    async () => (await node.client.pods()).every(({ state }) => state === 'enrolled'),
    'the snapshot finishes what was pending',
  );
  t.equal((await members(node)).length, 2);
  t.equal(peer.kinds.filter((kind) => kind === 'add uid-sleep').length, 1);
  peer[Symbol.dispose]();
  await eventually(
    async () => !(await node.client.status()).ztunnel.connected,
    'the agent sees it go',
  );
  await node.client.leave({ uid: 'uid-sleep' });
  t.notMatch(await rulesIn(pod.netns), /ISTIO/, 'leaving needs no ztunnel');

  using deaf = await Peer.connect(node.zdsSocket, ({ kind }) => (kind === 'del' ? undefined : ''));
  await deaf.until('snapshotSent');
  await t.rejects(node.client.leave({ uid: 'uid-later' }), UNAVAILABLE);
  t.match(await node.client.pods(), [{ uid: 'uid-later', state: 'leaving' }]);
  await node.client.leave({ uid: 'uid-later' });
  t.same(await node.client.pods(), [], 'the next try goes on from there');
});

t.test('NodeAgent reports what ztunnel refuses and what cannot be', async (t) => {
  await using node = makeNode();
  await using _agent = await node.start();
  let refusal = 'address in use';
  using peer = await Peer.connect(node.zdsSocket, ({ kind }) => (kind === 'add' ? refusal : ''));
  await peer.until('snapshotSent');
  const pod = node.pod('busy');
  await t.rejects(node.client.enrol(pod.request), {
    code: 'DATAPLANE_AGENT_ZTUNNEL_REFUSED',
    message: /address in use/,
    retryable: true,
  });
  t.match(await node.client.pods(), [{ state: 'pending', error: { error: /address in use/ } }]);
  t.same(await members(node), []);
  refusal = '';
  t.match(await node.client.reconcile(), { pods: { 'uid-busy': 'unchanged' }, errors: [] });
  t.match(await node.client.pods(), [{ state: 'enrolled', error: undefined }]);

  const bad: readonly [Partial<EnrolRequest> & Record<string, unknown>, string][] = [
    [{ netns: '/nowhere' }, 'DATAPLANE_AGENT_POD_NETNS'],
    [{ netns: '/proc/self/status' }, 'DATAPLANE_AGENT_POD_NETNS'],
    [{ netns: `/proc/${process.pid}/fd/${node.netns}` }, 'DATAPLANE_AGENT_POD_NETNS'],
    [{ uid: 'a"b' }, 'DATAPLANE_AGENT_INPUT'],
    [{ ips: ['10.0.0.300'] }, 'DATAPLANE_AGENT_INPUT'],
    [{ name: 'Upper_Case' }, 'DATAPLANE_AGENT_INPUT'],
    [{ extra: 1 }, 'DATAPLANE_AGENT_INPUT'],
    [
      { annotations: { 'istio.io/reroute-virtual-interfaces': 'a b' } },
      'DATAPLANE_REDIRECT_OPTIONS',
    ],
  ];
  for (const [change, code] of bad) {
    const body = { ...pod.request, uid: 'uid-bad', ...change };
    await t.rejects(node.client.enrol(body), { code, statusCode: 400 }, code);
  }
  for (const [verb, body, status] of [
    ['/enrol', '{', 400],
    ['/enrol', 'null', 400],
    ['/leave', '[]', 400],
    ['/nonsense', '{}', 404],
    ['/enrol', `"${'x'.repeat(2_000_000)}"`, 400],
  ] as const) {
    t.equal(await rawPost(node, verb, body), status, `${verb} ${body.slice(0, 10)}`);
  }
  t.match(await node.client.pods(), [{ uid: 'uid-busy', state: 'enrolled' }, {}], 'others stay');
});

t.test('/cmdadd answers as istio-cni does', async (t) => {
  await using node = makeNode();
  await using _agent = await node.start();
  using peer = await Peer.connect(node.zdsSocket);
  await peer.until('snapshotSent');
  const pod = node.pod('web');
  const event = {
    Netns: pod.request.netns,
    PodName: 'web',
    PodNamespace: 'demo',
    IPs: [{ Interface: null, Address: { IP: '10.0.0.99', Mask: '/////w==' }, Gateway: '10.0.0.1' }],
  };
  await t.rejects(node.client.cmdAdd(event), { code: 'DATAPLANE_AGENT_POD_UNKNOWN' });
  const { uid, name, namespace, serviceAccount } = pod.request;
  const record = { uid, name, namespace, serviceAccount };
  await node.client.announce({ ...record, ambient: false });
  await node.client.cmdAdd(event);
  t.same(peer.kinds, ['snapshotSent'], 'not ambient: nothing is done');
  t.notMatch(await rulesIn(pod.netns), /ISTIO/);
  const added = node.client.cmdAdd({ ...event, PodName: 'late' });
  await node.client.announce({
    ...record,
    name: 'late',
    ambient: true,
    annotations: { 'ambient.istio.io/dns-capture': 'false' },
  });
  await added;
  t.same(peer.kinds, ['snapshotSent', 'add uid-web'], 'the event may overtake the API server');
  t.match(await rulesIn(pod.netns), /--to-ports 15001/);
  t.notMatch(await rulesIn(pod.netns), /15053/, 'the annotation turns DNS capture off');
  t.same(await members(node), [{ address: '10.0.0.99', uid: 'uid-web' }]);
});

t.test('NodeAgent restarted adopts its pods; killed, it leaves them alone', async (t) => {
  await using node = makeNode();
  const env = { STATE_FILE: join(node.directory, 'pods') };
  const agent = await node.start(env);
  using before = await Peer.connect(node.zdsSocket);
  await before.until('snapshotSent');
  const [a, b] = [node.pod('a'), node.pod('b')];
  await node.client.enrol(a.request);
  await node.client.enrol(b.request);
  await node.client.enrol(node.pod('c').request);
  await node.client.leave({ uid: 'uid-c' });
  const rules = await rulesIn(a.netns);
  const nodeRules = await rulesIn(node.netns);
  t.equal(await agent.end('SIGKILL'), null);
  await eventually(() => before.isClosed, 'ztunnel notices');
  t.equal(await rulesIn(a.netns), rules);
  t.equal(await rulesIn(node.netns), nodeRules, 'probes keep passing');

  writeFileSync(env.STATE_FILE, '{"enrol":{"uid":"half', { flag: 'a' });
  await using again = await node.start(env);
  t.match(await node.client.pods(), [
    { uid: 'uid-a', state: 'pending', rules: 'unchanged' },
    { uid: 'uid-b', state: 'pending', rules: 'unchanged' },
  ]);
  using after = await Peer.connect(node.zdsSocket);
  await after.until('snapshotSent');
  t.same(after.kinds, ['add uid-a', 'add uid-b', 'snapshotSent']);
  await eventually(
    async () => (await node.client.pods()).every(({ state }) => state === 'enrolled'),
    'acked by the snapshot',
  );
  t.equal((await members(node)).length, 2);
  t.match(await node.client.enrol(a.request), { state: 'enrolled', rules: 'unchanged' });
  t.notOk(
    again.log.some(({ step }) => step === 'deleted' || step === 'applied'),
    'no rule was touched',
  );
  t.equal(await again.end(), 0);
  t.equal(await rulesIn(a.netns), rules);
});

t.test('NodeAgent repairs drift in pods and on the node', async (t) => {
  await using node = makeNode();
  await using agent = await node.start();
  using peer = await Peer.connect(node.zdsSocket);
  await peer.until('snapshotSent');
  const pod = node.pod('sleep');
  await node.client.enrol(pod.request);
  const wanted = [await rulesIn(pod.netns), await rulesIn(node.netns)];
  t.match(await node.client.reconcile(), { pods: { 'uid-sleep': 'unchanged' }, host: 'unchanged' });

  await runProgram(['iptables', '-t', 'nat', '-F', 'ISTIO_OUTPUT'], { netns: pod.netns });
  await runProgram(['iptables', '-t', 'nat', '-F', 'ISTIO_POSTRT'], { netns: node.netns });
  await runProgram(['ipset', 'flush', PROBES.name], { netns: node.netns });
  await runProgram(['ipset', 'add', PROBES.name, '10.9.9.9', 'comment', 'stale'], {
    netns: node.netns,
  });
  t.match(await node.client.reconcile(), { pods: { 'uid-sleep': 'repaired' }, host: 'repaired' });
  t.equal((await rulesIn(pod.netns)).replace(/\*filter\n(:.*\n)*COMMIT\n/, ''), wanted[0]);
  t.equal(await rulesIn(node.netns), wanted[1]);
  t.same(await members(node), [{ address: '10.0.0.11', uid: 'uid-sleep' }]);
  const steps = agent.log.filter(({ msg }) => msg === 'rules').map(({ step }) => step);
  t.same(steps.slice(2), ['guardrails-up', 'deleted', 'applied', 'guardrails-down']);
});

t.test('the agent replaces what another agent or era left in a pod', async (t) => {
  await using node = makeNode();
  await using _agent = await node.start({
    ERA: 'inpod-tproxy',
    DNS_CAPTURE: 'false',
    ENABLE_IPV6: 'true',
  });
  using peer = await Peer.connect(node.zdsSocket);
  await peer.until('snapshotSent');
  const pod = node.pod('old');
  await applyRules(podRules({ era: 'inpod-redirect', dnsCapture: true }), {
    netns: pod.netns,
    guardrails: true,
  });
  t.match(await node.client.enrol(pod.request), { rules: 'repaired', state: 'enrolled' });
  const rules = await rulesIn(pod.netns);
  t.match(rules, /-j TPROXY --on-port 15006/);
  t.notMatch(rules, /15053|--to-ports 15006/);
  t.match(await runProgram(['ip6tables-save'], { netns: pod.netns }), /-j TPROXY --on-port 15006/);
});

t.test('readSettings() refuses an environment that says something impossible', async (t) => {
  const good = { NODE_NAME: 'n', ZDS_SOCKET: '/z', PLUGIN_SOCKET: '/p' };
  t.match(readSettings(good), { era: 'inpod-redirect', dnsCapture: true, ipv6: false });
  const cases: readonly [Record<string, string>, RegExp][] = [
    [{ NODE_NAME: '' }, /NODE_NAME is not set/],
    [{ IPTABLES_BACKEND: 'other' }, /IPTABLES_BACKEND "other"/],
    [{ KUBELET_UID: 'root' }, /KUBELET_UID "root"/],
    [{ ERA: 'bronze' }, /ERA "bronze"/],
    [{ DNS_CAPTURE: 'perhaps' }, /DNS_CAPTURE "perhaps"/],
    [{ HOST_PROBE_SNAT_IP: '::1' }, /HOST_PROBE_SNAT_IP "::1"/],
    [{ RECONCILE_INTERVAL_MS: '-1' }, /RECONCILE_INTERVAL_MS "-1"/],
  ];
  for (const [env, message] of cases) {
    t.throws(() => readSettings({ ...good, ...env }), { message }, JSON.stringify(env));
  }
  await using node = makeNode();
  await t.rejects(node.start({ ERA: 'bronze' }), { message: /ended with 1: .*ERA "bronze"/ });
});

function rawPost(node: Node, path: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath: join(node.directory, 'plugin.sock'),
      path,
      method: 'POST',
    });
    outgoing.on('response', (response) => resolve(response.resume().statusCode ?? 0));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
