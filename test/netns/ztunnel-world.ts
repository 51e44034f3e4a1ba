import { execFileSync, type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, Socket } from 'node:net';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNetns, closeNetns, withNetns } from '../../dataplane/kernel/netns.ts';
import { openSocket } from '../../dataplane/kernel/sockets.ts';
import { SeqpacketConnection, SeqpacketListener } from '../../dataplane/kernel/seqpacket.ts';
import { createFileCa } from '../../dataplane/identity/file-ca.ts';
import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import {
  decodeWorkloadResponse,
  encodeWorkloadRequest,
  type WorkloadRequest,
} from '../../dataplane/zds/zds.ts';

/** Redirect rules of a pod (facts: ztunnel §10.3), the REDIRECT generation. */
const POD_RULES = `*mangle
-A PREROUTING -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff
-A OUTPUT -m connmark --mark 0x111/0xfff -j CONNMARK --restore-mark
COMMIT
*nat
-A OUTPUT -d 169.254.7.127/32 -p tcp -j ACCEPT
-A OUTPUT ! -o lo -p udp -m mark ! --mark 0x539/0xfff -m udp --dport 53 -j REDIRECT --to-ports 15053
-A OUTPUT ! -d 127.0.0.1/32 -p tcp -m tcp --dport 53 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15053
-A OUTPUT -p tcp -m mark --mark 0x111/0xfff -j ACCEPT
-A OUTPUT ! -d 127.0.0.1/32 -o lo -j ACCEPT
-A OUTPUT ! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001
-A PREROUTING -s 169.254.7.127/32 -p tcp -j ACCEPT
-A PREROUTING ! -d 127.0.0.1/32 -p tcp -m tcp ! --dport 15008 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15006
COMMIT
`;

export interface Pod {
  readonly name: string;
  readonly ip: string;
  readonly netns: number;
  /** Every socket a test opened there: closed with the world. */
  readonly sockets: Set<Socket>;
}

/** Namespaces, links, CA and state file of one test; nothing of it is in the machine's own netns. */
export class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'ztunnel-test-'));
  readonly stateFile = join(this.dir, 'state.yaml');
  /** What the ztunnel processes find as /etc/resolv.conf. */
  readonly resolvConf = join(this.dir, 'resolv.conf');
  readonly ca = createFileCa({ dir: join(this.dir, 'ca') });
  readonly #router = createNetns();
  readonly #pods: Pod[] = [];
  readonly #closers: (() => void)[] = [];
  processes = 0;
  #count = 1;

  constructor() {
    this.setState({});
    writeFileSync(this.resolvConf, 'nameserver 10.77.0.254\n');
    run(this.#router, 'ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward');
  }

  /** A pod behind the router, all of whose traffic is routed; with redirect rules if captured. */
  pod(name: string, isCaptured: boolean): Pod {
    const netns = createNetns();
    const ip = `10.77.0.${++this.#count}`;
    const path = `/proc/${process.pid}/fd/${netns}`;
    run(
      this.#router,
      `ip link add v${this.#count} type veth peer name eth0 netns ${path};
       ip addr add 10.77.0.1/32 dev v${this.#count}; ip link set v${this.#count} up;
       ip route add ${ip}/32 dev v${this.#count}`,
    );
    run(
      netns,
      `ip link set lo up; ip addr add ${ip}/32 dev eth0; ip link set eth0 up;
       ip route add 10.77.0.1 dev eth0 scope link; ip route add default via 10.77.0.1
       for f in all default eth0 lo; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done
       echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet`,
    );
    if (isCaptured) this.capture(netns);
    const pod = { name, ip, netns, sockets: new Set<Socket>() };
    this.#pods.push(pod);
    return pod;
  }

  /** Leads an address to a pod. */
  route(ip: string, pod: Pod): void {
    run(this.#router, `ip route add ${ip}/32 via ${pod.ip} dev v${pod.ip.split('.')[3]} onlink`);
  }

  capture(netns: number): void {
    withNetns(netns, () => execFileSync('iptables-restore', { input: POD_RULES }));
    run(
      netns,
      'ip rule add fwmark 0x111/0xfff pref 32764 lookup 100; ip route add local 0.0.0.0/0 dev lo table 100',
    );
  }

  setState(state: unknown): void {
    writeFileSync(this.stateFile, toYaml(state));
  }

  onClose(close: () => void): void {
    this.#closers.push(close);
  }

  close(): void {
    for (const close of this.#closers.reverse()) close();
    for (const pod of this.#pods) {
      for (const socket of pod.sockets) socket.destroy();
      closeNetns(pod.netns);
    }
    closeNetns(this.#router);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Runs a shell script in a netns; throws when it fails. */
export function run(netns: number, script: string): string {
  return withNetns(netns, () => execFileSync('sh', ['-ec', script], { encoding: 'utf8' }));
}

/** JSON is YAML, but for tags: `{"!Exact": x}` is written as `!Exact x`. */
export function toYaml(value: unknown): string {
  return JSON.stringify(value, undefined, 1)
    .replace(/\{\s*"!(\w+)":\s*("[^"]*"|\[\])\s*\}/g, '!$1 $2')
    .replace(/"(\d+)":/g, '$1:');
}

/** Fields of a workload record with what every test needs. */
export function workload(pod: Pod, over: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    uid: `cluster1//v1/Pod/default/${pod.name}`,
    name: pod.name,
    namespace: 'default',
    serviceAccount: pod.name,
    trustDomain: 'cluster.local',
    workloadIps: [pod.ip],
    protocol: 'HBONE',
    node: 'node',
    clusterId: 'Kubernetes',
    workloadName: pod.name,
    workloadType: 'deployment',
    canonicalName: pod.name,
    canonicalRevision: 'v1',
    services: {},
    ...over,
  };
}

/** Runs a program with a resolv.conf of the test's own: `$0` is the file, `$@` the program. */
const WITH_OWN_RESOLVER = 'mount --bind "$0" /etc/resolv.conf; exec "$@"';

/** Ours from source; ZTUNNEL_TEST_PROGRAM for a bundle, or for another ztunnel. */
const PROGRAM: readonly string[] = process.env['ZTUNNEL_TEST_PROGRAM']?.split(' ') ?? [
  process.execPath,
  '--import',
  'tsx',
  new URL('../../dataplane/ztunnel/main.ts', import.meta.url).pathname,
];

/** A ztunnel process in a netns of its own, and the agent's end of its ZDS socket. */
export class TestZtunnel {
  readonly netns: number;
  readonly child: ChildProcess;
  readonly legFile: string;
  readonly #listener: SeqpacketListener;
  readonly #greeted = new WeakSet<SeqpacketConnection>();
  readonly #acks: ((error: string) => void)[] = [];
  readonly hello: Promise<Buffer>;
  connection!: SeqpacketConnection;
  output = '';
  exit: Promise<number | null>;

  /** `netns`: where it runs (dedicated mode: the pod's); absent: one of its own. */
  constructor(world: World, node: string, env: Record<string, string> = {}, netns?: number) {
    this.netns = netns ?? createNetns();
    const socket = join(world.dir, `${node}-${++world.processes}.sock`);
    this.legFile = join(world.dir, `${node}.legs`);
    this.#listener = new SeqpacketListener(socket);
    this.hello = new Promise((resolve) => {
      this.#listener.on('connection', (connection) => {
        this.connection = connection;
        let isFirst = true;
        connection.on('message', ({ data }) => {
          this.#greeted.add(connection);
          if (isFirst) resolve(data);
          else this.#acks.shift()?.(decodeWorkloadResponse(data).error);
          isFirst = false;
        });
      });
    });
    run(this.netns, 'ip link set lo up');
    this.child = withNetns(this.netns, () =>
      spawn(
        'setpriv',
        [
          '--pdeathsig',
          'KILL',
          'unshare',
          '-m',
          'sh',
          '-ec',
          WITH_OWN_RESOLVER,
          world.resolvConf,
          ...PROGRAM,
        ],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
          env: {
            PATH: process.env['PATH'],
            ...(process.env['AMBIENT_KERNEL_ADDON'] && {
              AMBIENT_KERNEL_ADDON: process.env['AMBIENT_KERNEL_ADDON'],
            }),
            XDS_ADDRESS: '',
            FAKE_CA: 'true',
            CA_CERT_FILE: world.ca.certFile,
            CA_KEY_FILE: world.ca.keyFile,
            LOCAL_XDS_PATH: world.stateFile,
            NODE_NAME: node,
            INPOD_UDS: socket,
            LEG_LOG: this.legFile,
            SSLKEYLOGFILE: join(world.dir, `${node}.keys`),
            ...env,
          },
        },
      ),
    );
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    this.exit = new Promise((resolve) => this.child.on('exit', (code) => resolve(code)));
    world.onClose(() => {
      this.child.kill('SIGKILL');
      this.connection?.close();
      this.#listener.close();
      if (netns === undefined) closeNetns(this.netns);
    });
  }

  /** Resolves once the hello of the newest connection is here. */
  async nextHello(): Promise<void> {
    for (let i = 0; i < 200 && !this.#greeted.has(this.connection); i++) await sleep(20);
  }

  /** Sends one request; resolves with the ack's error text. */
  async request(request: WorkloadRequest, fds: readonly number[] = []): Promise<string> {
    await Promise.race([this.hello, this.#failsOnExit()]);
    const ack = new Promise<string>((resolve) => this.#acks.push(resolve));
    await this.connection.send(encodeWorkloadRequest(request), fds);
    return ack;
  }

  async #failsOnExit(): Promise<never> {
    const code = await this.exit;
    throw new Error(`ztunnel exited with status ${code}:\n${this.output}`);
  }

  async add(pod: Pod): Promise<string> {
    const workloadInfo = { name: pod.name, namespace: 'default', serviceAccount: pod.name };
    return this.request({ kind: 'add', uid: pod.name, workloadInfo }, [pod.netns]);
  }

  async snapshot(): Promise<string> {
    return this.request({ kind: 'snapshotSent' });
  }

  /** One HTTP request to a port of the process itself; the raw response. */
  async http(port: number, method: string, path: string): Promise<string> {
    const fd = openSocket({ netns: this.netns, family: 'ipv4' });
    const socket = new Socket({ fd, allowHalfOpen: true });
    socket.connect({ host: '127.0.0.1', port });
    socket.end(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    return text(socket);
  }

  /** Access log lines that hold all of these texts; waits for one to appear. */
  async logLine(...parts: readonly string[]): Promise<string> {
    for (let i = 0; i < 150; i++) {
      const line = this.output
        .split('\n')
        .find((candidate) => parts.every((part) => candidate.includes(part)));
      if (line) return line;
      await sleep(20);
    }
    throw new Error(`no log line with ${parts.join(' and ')} in:\n${this.output}`);
  }

  legs(): readonly LegRecord[] {
    const lines = readFileSync(this.legFile, 'utf8').split('\n');
    return lines.filter(Boolean).map((line) => JSON.parse(line) as LegRecord);
  }
}

/** A TCP server in a pod; `serve` gets each connection. */
export async function serve(
  world: World,
  pod: Pod,
  port: number,
  handle: (socket: Socket) => void,
): Promise<Server> {
  const bind = { address: '0.0.0.0', port };
  const fd = openSocket({ netns: pod.netns, family: 'ipv4', bind, listen: 64, reuseAddress: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    pod.sockets.add(socket);
    handle(socket);
  });
  await new Promise<void>((resolve) => server.listen({ fd }, resolve));
  world.onClose(() => server.close());
  return server;
}

/** Echoes every chunk twice, as the genuine suite's server does. */
export function echoTwice(socket: Socket): void {
  socket.on('data', (chunk) => socket.write(Buffer.concat([chunk, chunk])));
  socket.on('end', () => socket.end());
}

/** A connection from a pod; resolves when it is up. */
export async function dial(pod: Pod, host: string, port: number): Promise<Socket> {
  const fd = openSocket({ netns: pod.netns, family: 'ipv4' });
  const socket = new Socket({ fd, allowHalfOpen: true });
  pod.sockets.add(socket);
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect({ host, port }, () => resolve());
  });
  return socket;
}

/** Everything the peer sends until it ends. Rejects with the socket's error. */
export async function text(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('error', reject);
  });
}

/** The first bytes that arrive. */
export async function chunk(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('data', (data) => resolve(data.toString()));
    socket.once('end', () => resolve(''));
    socket.once('error', reject);
  });
}

/** Sends 11 bytes, half-closes, and gives what came back. */
export async function roundTrip(pod: Pod, host: string, port: number): Promise<string> {
  const socket = await dial(pod, host, port);
  socket.end('hello world');
  return text(socket);
}
