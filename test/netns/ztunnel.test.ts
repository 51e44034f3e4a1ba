import { createSocket } from 'node:dgram';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createNetns, closeNetns, withNetns } from '../../dataplane/kernel/netns.ts';
import { closeFd, openSocket } from '../../dataplane/kernel/sockets.ts';
import { decodeDns, encodeDns } from '../../dataplane/wire/dns.ts';
import {
  chunk,
  dial,
  echoTwice,
  type Pod,
  roundTrip,
  run,
  serve,
  TestZtunnel,
  text,
  workload,
  World,
} from './ztunnel-world.ts';
import { Http2Peer, tlsToPod } from './ztunnel-peer.ts';

t.setTimeout(60_000);

/** The losing side of a race must not keep the test process. */
const UNREFERENCED = { ref: false };

const GONE = 'nothing came back';
/** A connection closed after accept: RST when bytes were unread, else FIN. */
const REFUSED = /^(nothing came back|ECONNRESET|EPIPE)$/;

/** What a client sees of a connection that is refused: nothing, or its error's code. */
async function outcome(pod: Pod, host: string, port: number): Promise<string> {
  const late = sleep(3000, 'timeout', UNREFERENCED);
  const seen = roundTrip(pod, host, port).then(
    (got) => got || GONE,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
  return Promise.race([seen, late]);
}

const httpStatus = (response: string): number => Number(response.split(' ')[1]);
const spiffe = (name: string): string => `spiffe://cluster.local/ns/default/sa/${name}`;

const SERVER_SERVICE = {
  name: 'server',
  namespace: 'default',
  hostname: 'server.default.svc.cluster.local',
  vips: ['/10.96.0.10'],
  ports: { 80: 8080, 81: 0 },
};
const MEMBER = { 'default/server.default.svc.cluster.local': { 80: 8080, 81: 8080 } };

const policy = (over: Record<string, unknown>): Record<string, unknown> => ({
  name: 'p',
  namespace: 'default',
  scope: 'Namespace',
  action: 'Deny',
  dryRun: false,
  rules: [],
  ...over,
});

/** What the tests look at of `/config_dump`. */
interface ConfigDump {
  readonly workloadState: Record<string, { readonly connections: Record<string, unknown[]> }>;
  readonly services: readonly { readonly endpoints: unknown }[];
  readonly workloads: readonly object[];
  readonly certificates: unknown;
  readonly config: { readonly illegalPorts: readonly number[] };
}

interface Pair {
  readonly world: World;
  readonly zt: TestZtunnel;
  readonly client: Pod;
  readonly server: Pod;
  readonly plain: Pod;
  /** State of the pair, for tests that change it. */
  readonly state: { workloads: unknown[]; services: unknown[]; policies: unknown[] };
}

/** One node with a captured client and server, and a pod outside the mesh; all set up over ZDS. */
async function pair(t: Test, env: Record<string, string> = {}): Promise<Pair> {
  const world = new World();
  t.teardown(() => world.close());
  const client = world.pod('client', true);
  const server = world.pod('server', true);
  const plain = world.pod('plain', false);
  const state = {
    workloads: [
      workload(client),
      workload(server, { services: MEMBER }),
      workload(plain, { protocol: 'TCP', node: 'remote-node' }),
    ],
    services: [SERVER_SERVICE],
    policies: [],
  };
  world.setState(state);
  const zt = new TestZtunnel(world, 'node', env);
  t.equal((await zt.hello).toString('hex'), '0801', 'ZdsHello V1');
  t.equal(await zt.add(client), '');
  t.equal(await zt.add(server), '');
  t.equal(await zt.snapshot(), '');
  await serve(world, server, 8080, echoTwice);
  await serve(world, plain, 8080, echoTwice);
  return { world, zt, client, server, plain, state };
}

t.test('ztunnel carries captured traffic through HBONE (local_captured)', async (t) => {
  const { world, zt, client, server } = await pair(t);
  t.equal(httpStatus(await zt.http(15021, 'GET', '/healthz/ready')), 200);
  t.equal(httpStatus(await zt.http(15021, 'POST', '/healthz/ready')), 405);
  const sources: string[] = [];
  await serve(world, server, 8090, (socket) => {
    sources.push(socket.remoteAddress ?? '');
    socket.end('hi');
  });

  t.equal(await roundTrip(client, server.ip, 8080), 'hello worldhello world');
  const common = [
    `src.workload="client"`,
    `src.identity="${spiffe('client')}"`,
    `dst.workload="server"`,
    `dst.identity="${spiffe('server')}"`,
    `dst.addr=${server.ip}:15008`,
    `dst.hbone_addr=${server.ip}:8080`,
  ];
  await zt.logLine(
    'info\taccess\tconnection complete',
    'direction="inbound"',
    'bytes_sent=22 bytes_recv=11',
    ...common,
  );
  const outbound = await zt.logLine(
    'info\taccess\tconnection complete',
    'direction="outbound"',
    'bytes_sent=11 bytes_recv=22',
    ...common,
  );
  t.notMatch(outbound, /dst\.service|error=/);

  t.equal(await roundTrip(client, '10.96.0.10', 80), 'hello worldhello world', 'by service VIP');
  await zt.logLine(
    'direction="outbound"',
    'dst.service="server.default.svc.cluster.local"',
    `dst.hbone_addr=${server.ip}:8080`,
  );

  t.equal(await roundTrip(client, server.ip, 8090), 'hi', 'server speaks first');
  t.same(sources, [client.ip], 'the app saw the client pod');

  t.test('leg records join the two sides of a tunnel', async (t) => {
    const of = (direction: string) => zt.legs().find((leg) => leg.direction === direction);
    const [inbound, outbound] = [of('inbound'), of('outbound')];
    if (!inbound?.tunnel || !outbound?.tunnel) return t.fail('no leg with a tunnel');
    t.equal(inbound.traceparent, outbound.traceparent);
    t.equal(inbound.tunnel.remote, outbound.tunnel.local);
    t.equal(inbound.tunnel.stream, outbound.tunnel.stream);
    t.equal(outbound.originalDestination, `${server.ip}:8080`);
    t.match(outbound.accepted.peer, new RegExp(`^${client.ip}:`));
    t.equal(inbound.upstream?.remote, `${server.ip}:8080`);
    t.match(inbound.upstream?.local, new RegExp(`^${client.ip}:`));
    t.same(
      [outbound.pod, inbound.pod, outbound.node],
      ['default/client', 'default/server', 'node'],
    );
    t.ok(BigInt(outbound.openedNs) < BigInt(outbound.closedNs));
  });

  t.test('one tunnel carries all streams, refused ones say which', async (t) => {
    await outcome(client, server.ip, 8099);
    const outbound = () => zt.legs().filter((leg) => leg.direction === 'outbound');
    for (let i = 0; i < 100 && outbound().length < 4; i++) await sleep(20);
    const tunnels = outbound().map((leg) => leg.tunnel);
    t.equal(tunnels.length, 4);
    t.equal(new Set(tunnels.map((tunnel) => tunnel?.local)).size, 1);
  });

  t.test('half-close works both ways, 300 kB after it', async (t) => {
    const big = Buffer.alloc(300_000, 'x');
    await serve(world, server, 8091, (socket) => {
      socket.resume();
      socket.on('end', () => socket.end(big));
    });
    const socket = await dial(client, server.ip, 8091);
    socket.end('done');
    t.equal((await text(socket)).length, big.length);
    await serve(world, server, 8092, (socket) => {
      socket.end('first');
      let count = 0;
      socket.on('data', (data) => (count += data.length));
      socket.on('end', () => (received = count));
    });
    let received = 0;
    const other = await dial(client, server.ip, 8092);
    t.equal(await text(other), 'first', 'the server ends first');
    other.end(big);
    for (let i = 0; i < 100 && received === 0; i++) await sleep(20);
    t.equal(received, big.length, 'and the client may still send');
  });

  t.test('100 connections at once', async (t) => {
    const all = await Promise.all(
      Array.from({ length: 100 }, () => roundTrip(client, '10.96.0.10', 80)),
    );
    t.equal(all.filter((got) => got === 'hello worldhello world').length, 100);
  });

  t.test('/config_dump has the keys and forms of the genuine one', async (t) => {
    const held = await dial(client, server.ip, 8080);
    held.write('x');
    await chunk(held);
    const response = await zt.http(15000, 'GET', '/config_dump');
    const dump = JSON.parse(response.slice(response.indexOf('\r\n\r\n'))) as ConfigDump;
    held.destroy();
    t.same(Object.keys(dump).sort(), [
      'certificates',
      'config',
      'policies',
      'services',
      'stagedServices',
      'staticConfig',
      'version',
      'workloadState',
      'workloads',
    ]);
    t.match(dump.workloadState['server'], {
      state: 'Up',
      info: { name: 'server', namespace: 'default', serviceAccount: 'server' },
      connections: {
        inbound: [{ actualDst: `${server.ip}:8080`, protocol: 'HBONE' }],
        outbound: [],
      },
    });
    t.match(dump.workloadState['client']?.connections.outbound, [
      { originalDst: `${server.ip}:8080`, actualDst: `${server.ip}:15008`, protocol: 'HBONE' },
    ]);
    t.match(dump.certificates, [
      {
        identity: spiffe('client'),
        state: 'Available',
        certChain: [{ serialNumber: /^\d+$/, validFrom: /Z$/ }],
        rootCerts: [{}],
      },
      { identity: spiffe('server') },
    ]);
    t.match(dump.services[0]?.endpoints, {
      'cluster1//v1/Pod/default/server': { port: { 80: 8080 }, status: 'Healthy' },
    });
    const sample = [
      'authorizationPolicies',
      'canonicalName',
      'canonicalRevision',
      'capacity',
      'clusterId',
      'locality',
      'name',
      'namespace',
      'networkMode',
      'node',
      'protocol',
      'serviceAccount',
      'status',
      'trustDomain',
      'uid',
      'workloadIps',
      'workloadName',
      'workloadType',
    ];
    t.same(
      Object.keys(dump.workloads[0] ?? {}).filter((key) => !sample.includes(key)),
      [],
    );
    t.same(dump.config.illegalPorts, [15008, 15001, 15006]);
  });

  t.test('/logging changes levels', async (t) => {
    t.equal(httpStatus(await zt.http(15000, 'GET', '/logging')), 405);
    t.match(
      await zt.http(15000, 'POST', '/logging?level=access=debug'),
      /current log level is .*access=debug/,
    );
    t.equal(httpStatus(await zt.http(15000, 'POST', '/logging?level=loud')), 400);
    await roundTrip(client, server.ip, 8080);
    await zt.logLine('debug\taccess\tconnection opened');
    t.equal(httpStatus(await zt.http(15000, 'GET', '/nothing')), 404);
  });
});

t.test('ztunnel passes plaintext on, both ways', async (t) => {
  const { world, zt, client, server, plain } = await pair(t);
  const sources: string[] = [];
  for (const pod of [server, plain]) {
    await serve(world, pod, 8090, (socket) => {
      sources.push(socket.remoteAddress ?? '');
      socket.end('hi');
    });
  }
  t.equal(await roundTrip(client, plain.ip, 8080), 'hello worldhello world', 'server_uncaptured');
  const line = await zt.logLine(
    'direction="outbound"',
    `dst.addr=${plain.ip}:8080`,
    'bytes_sent=11 bytes_recv=22',
  );
  t.notMatch(line, /identity|hbone_addr/);
  t.match(line, /src.workload="client" .*dst.workload="plain"/);

  t.equal(await roundTrip(plain, server.ip, 8090), 'hi');
  t.equal(sources.at(-1), plain.ip, 'captured on 15006, the source preserved');
  const inbound = await zt.logLine('direction="inbound"', `dst.addr=${server.ip}:8090`);
  t.notMatch(inbound, /src.identity|hbone_addr/);
  t.match(await outcome(plain, server.ip, 8098), REFUSED, 'accepted, then closed');
  await zt.logLine(
    'error\taccess',
    `dst.addr=${server.ip}:8098`,
    'error="connection failed: Connection refused (os error 111)"',
  );
  t.match(await outcome(client, plain.ip, 8098), REFUSED, 'accepted, then closed');
  await zt.logLine(
    'error\taccess',
    `dst.addr=${plain.ip}:8098`,
    'error="io error: Connection refused (os error 111)"',
  );
  t.equal(
    await roundTrip(client, client.ip, 8080).catch((e: NodeJS.ErrnoException) => e.code),
    'ECONNREFUSED',
    'own address bypasses the proxy',
  );
  const leg = zt.legs().find(({ direction }) => direction === 'inbound-passthrough');
  t.match(leg, {
    pod: 'default/server',
    originalDestination: `${server.ip}:8090`,
    upstream: { remote: `${server.ip}:8090` },
  });
});

t.test('ztunnels of two nodes meet (cross_node), and service load is spread', async (t) => {
  const world = new World();
  t.teardown(() => world.close());
  const [client, near, far] = [
    world.pod('client', true),
    world.pod('near', true),
    world.pod('far', true),
  ];
  world.setState({
    workloads: [
      workload(client),
      workload(near, { services: MEMBER }),
      workload(far, { services: MEMBER, node: 'remote' }),
    ],
    services: [SERVER_SERVICE],
  });
  const [local, remote] = [new TestZtunnel(world, 'node'), new TestZtunnel(world, 'remote')];
  for (const pod of [client, near]) t.equal(await local.add(pod), '');
  t.equal(await remote.add(far), '');
  await Promise.all([local.snapshot(), remote.snapshot()]);
  await Promise.all([near, far].map((pod) => serve(world, pod, 8080, echoTwice)));
  t.equal(await roundTrip(client, far.ip, 8080), 'hello worldhello world');
  await local.logLine(
    'direction="outbound"',
    'dst.workload="far"',
    `dst.identity="${spiffe('far')}"`,
  );
  await remote.logLine(
    'direction="inbound"',
    'src.workload="client"',
    `src.identity="${spiffe('client')}"`,
  );
  await Promise.all(Array.from({ length: 50 }, () => roundTrip(client, '10.96.0.10', 80)));
  await local.logLine('direction="outbound"', 'dst.service=', 'dst.workload="near"');
  await local.logLine('direction="outbound"', 'dst.service=', 'dst.workload="far"');
});

t.test(
  'an independent HBONE client gets the statuses and log lines of the genuine ztunnel',
  async (t) => {
    const { world, zt, client, server, plain, state } = await pair(t);
    world.setState({
      ...state,
      policies: [policy({ name: 'deny-9999', rules: [[[{ destinationPorts: [9999] }]]] })],
    });
    await zt.logLine('local config reloaded');
    const peer = await Http2Peer.open(world, plain, server);
    const { status, stream, baggage } = await peer.connect(`${server.ip}:8080`);
    t.equal(status, 200);
    t.equal(
      baggage,
      'k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=server,service.name=server,service.version=v1',
    );
    stream.write('hello world');
    t.equal(String((await once(stream, 'data'))[0]), 'hello worldhello world');
    stream.close();
    const name = 'server.default.svc.cluster.local';
    const cases: readonly (readonly [string, number, string?])[] = [
      [`${name}:80`, 200],
      [`${name}:81`, 200],
      [`${name}:82`, 503, `requested service ${name}:82 found, but cannot resolve port`],
      [`${server.ip}:8081`, 503, 'connection failed: Connection refused (os error 111)'],
      [
        `${server.ip}:9999`,
        401,
        'connection closed due to policy rejection: explicitly denied by: default/deny-9999',
      ],
      [`${client.ip}:8080`, 400, `ip mismatch: ${server.ip} != ${client.ip}`],
      ['127.0.0.1:8080', 400, `ip mismatch: ${server.ip} != 127.0.0.1`],
      ['no-port', 400, 'no valid authority pseudo header: no-port'],
      [
        'nosuch.default.svc.cluster.local:80',
        503,
        'no service or workload for hostname: nosuch.default.svc.cluster.local',
      ],
      ...[15001, 15006, 15008].map(
        (port) => [`${server.ip}:${port}`, 503, 'attempted recursive call to ourselves'] as const,
      ),
    ];
    for (const [authority, expected, error] of cases) {
      t.equal(await peer.status(authority), expected, authority);
      if (error !== undefined) await zt.logLine('direction="inbound"', `error="${error}"`);
    }
    const get = await peer.request({
      ':method': 'GET',
      ':path': '/',
      ':scheme': 'https',
      ':authority': 'x',
    });
    t.equal(get.status, 400);
    await zt.logLine('warn\taccess\tconnection failed', 'error="expected method CONNECT, got GET"');
    t.equal(await peer.status(`${server.ip}:8080`), 200, 'the connection is still good');
  },
);

t.test('namespace policies decide by identity (test_policy)', async (t) => {
  const { world, zt, server, client, plain, state } = await pair(t);
  const principals = [{ '!Exact': 'cluster.local/ns/default/sa/waypoint' }];
  world.setState({
    ...state,
    policies: [policy({ action: 'Allow', rules: [[[{ principals }]]] })],
  });
  await zt.logLine('local config reloaded');
  const stranger = await Http2Peer.open(world, plain, server);
  t.equal(await stranger.status(`${server.ip}:8080`), 401);
  await zt.logLine(
    'error\taccess',
    'error="connection closed due to policy rejection: allow policies exist, but none allowed"',
  );
  const waypoint = await Http2Peer.open(world, plain, server, {
    namespace: 'default',
    serviceAccount: 'waypoint',
  });
  t.equal(await waypoint.status(`${server.ip}:8080`), 200, 'the allowed one passes');
  t.match(await outcome(plain, server.ip, 8080), REFUSED, 'plaintext has no identity');
  t.match(await outcome(client, server.ip, 8080), REFUSED);
  await zt.logLine('direction="outbound"', 'error="http status: 401"');
});

t.test(
  'a policy that comes later cuts live inbound connections, and only what it denies',
  async (t) => {
    const { world, zt, client, server, plain, state } = await pair(t);
    const held = await Promise.all([dial(client, server.ip, 8080), dial(plain, server.ip, 8080)]);
    for (const socket of held) {
      socket.write('x');
      t.equal(await chunk(socket), 'xx');
    }
    const ended = held.map((socket) =>
      text(socket).catch((error: NodeJS.ErrnoException) => error.code),
    );
    world.setState({
      ...state,
      policies: [policy({ rules: [[[{ notPrincipals: [{ '!Presence': [] }] }]]] })],
    });
    await Promise.race([ended[1], sleep(3000, 'timeout', UNREFERENCED)]);
    await zt.logLine('error\taccess', 'error="connection closed due to policy change"');
    held[0]?.write('y');
    t.equal(await chunk(held[0]), 'yy', 'the one with an identity lives on');
    world.setState({ ...state, policies: [policy({ rules: [[]] })] });
    await Promise.race([ended[0], sleep(3000, 'timeout', UNREFERENCED)]);
    t.match(await outcome(client, server.ip, 8080), REFUSED, 'nor are new ones let in');
  },
);

t.test('TLS is refused where the genuine ztunnel refuses it', async (t) => {
  const { world, zt, client, server, plain, state } = await pair(t);
  const refused = async (options: Parameters<typeof tlsToPod>[3], error: string): Promise<void> => {
    const seen = await tlsToPod(world, plain, server, options).then(
      (tls) => text(tls).catch(() => ''),
      () => '',
    );
    t.equal(seen, '', JSON.stringify(options));
    await zt.logLine(
      'warn\taccess\tconnection failed',
      `src.addr=${plain.ip}:`,
      `dst.addr=${server.ip}:15008`,
      error,
    );
  };
  await refused(
    { withoutCertificate: true },
    'error="tls handshake error: Custom { kind: InvalidData, error: NoCertificatesPresented }"',
  );
  await refused(
    { alpn: ['http/1.1'] },
    'error="tls handshake error: Custom { kind: InvalidData, error: NoApplicationProtocol }"',
  );
  await refused(
    { trustDomain: 'evil.td', namespace: 'default', serviceAccount: 'other' },
    'error="tls handshake error: Custom { kind: InvalidData, error: InvalidCertificate(Other(OtherError(SanTrustDomainError(\\"cluster.local\\", [Spiffe { trust_domain: \\"evil.td\\", namespace: \\"default\\", service_account: \\"other\\" }])))) }"',
  );
  const silent = await Http2Peer.open(world, plain, server, { alpn: [] }).catch(() => undefined);
  t.ok(silent, 'a client without ALPN is let in');

  // trust_domain_mismatch_rejected
  world.setState({
    ...state,
    workloads: [workload(client, { trustDomain: 'clusterset.local' }), ...state.workloads.slice(1)],
  });
  await zt.logLine('local config reloaded');
  t.match(await outcome(client, server.ip, 8080), REFUSED);
  world.setState(state);
  for (let i = 0; i < 50 && (zt.output.match(/local config reloaded/g) ?? []).length < 2; i++)
    await sleep(20);
  t.equal(await outcome(client, server.ip, 8080), 'hello worldhello world', 'the positive control');
});

t.test('calls to the proxy itself fail (malicious_calls)', async (t) => {
  const { zt, client, server, plain } = await pair(t);
  const ports = [15001, 15006, 15008];
  const targets = [client.ip, server.ip, '127.0.0.1', '10.96.0.10'];
  for (const from of [client, plain]) {
    // The service address means something to captured pods only.
    for (const host of from === plain ? targets.slice(0, 3) : targets) {
      for (const port of ports) {
        const got = await outcome(from, host, port);
        t.match(
          got,
          /^(nothing came back|ECONNRESET|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EPIPE)$/,
          `${from.name} → ${host}:${port}: ${got}`,
        );
      }
    }
  }
  await zt.logLine('attempted recursive call to ourselves');
  t.equal(await outcome(client, server.ip, 8080), 'hello worldhello world', 'and the proxy lives');
  t.equal(httpStatus(await zt.http(15021, 'GET', '/healthz/ready')), 200);
});

t.test('SIGTERM drains: connections run on, new ones fail, a tunnel gets GOAWAY', async (t) => {
  const { world, zt, client, server, plain } = await pair(t, {
    CONNECTION_TERMINATION_DEADLINE: '30s',
  });
  const held = await dial(client, server.ip, 8080);
  held.write('x');
  t.equal(await chunk(held), 'xx');
  const peer = await Http2Peer.open(world, plain, server);
  t.equal(await peer.status(`${server.ip}:8080`), 200);
  const goaway = once(peer.session, 'goaway');
  zt.child.kill('SIGTERM');
  t.equal((await goaway)[0], 0, 'GOAWAY(NO_ERROR)');
  held.write('y');
  t.equal(await chunk(held), 'yy');
  t.match(await outcome(client, server.ip, 8080), /ECONNREFUSED/);
  const ended = text(held);
  held.end();
  t.equal(await ended, '');
  t.equal(
    await Promise.race([zt.exit, sleep(5000, 'timeout', UNREFERENCED)]),
    0,
    'exits when the last one ends',
  );
  t.match(zt.output, /drain:proxy\{wl=default\/client\}\tshutdown complete\tcomponent="outbound"/);
});

t.test('a drain is forced at the deadline, a second SIGINT ends at once', async (t) => {
  const { zt, client, server } = await pair(t, { CONNECTION_TERMINATION_DEADLINE: '300ms' });
  const held = await dial(client, server.ip, 8080);
  held.write('x');
  await chunk(held);
  const ended = text(held).catch((error: NodeJS.ErrnoException) => error.code);
  t.equal(httpStatus(await zt.http(15000, 'POST', '/quitquitquit')), 200);
  t.equal(await Promise.race([zt.exit, sleep(5000, 'timeout', UNREFERENCED)]), 0);
  await ended;
  await zt.logLine('error\taccess', 'error="connection closed due to connection drain"');

  const other = await pair(t, { CONNECTION_TERMINATION_DEADLINE: '60s' });
  const kept = await dial(other.client, other.server.ip, 8080);
  kept.write('x');
  await chunk(kept);
  other.zt.child.kill('SIGINT');
  await other.zt.logLine('received signal SIGINT');
  t.equal(await Promise.race([other.zt.exit, sleep(300, 'runs', UNREFERENCED)]), 'runs');
  other.zt.child.kill('SIGINT');
  t.equal(await Promise.race([other.zt.exit, sleep(3000, 'timeout', UNREFERENCED)]), 0);
});

t.test('Del stops a workload at once (test_server_shutdown)', async (t) => {
  const { zt, client, server } = await pair(t);
  const held = await dial(client, server.ip, 8080);
  held.write('x');
  t.equal(await chunk(held), 'xx');
  const ended = text(held).catch((error: NodeJS.ErrnoException) => error.code);
  t.equal(await zt.request({ kind: 'del', uid: 'server' }), '');
  t.not(
    await Promise.race([ended, sleep(3000, 'timeout', UNREFERENCED)]),
    'timeout',
    'the held connection ends',
  );
  t.match(await outcome(client, server.ip, 8080), /ECONNRESET|nothing/);
  t.equal(await zt.request({ kind: 'del', uid: 'nobody' }), '', 'an unknown one is acknowledged');
  t.equal(run(server.netns, 'ss -Htln "sport >= 15000"'), '', 'no listener is left');
  t.equal(await zt.add(server), '', 'and it can be added again');
  t.equal(await outcome(client, server.ip, 8080), 'hello worldhello world');
});

t.test('sockets of a pod carry mark, transparency and reuse', async (t) => {
  const { client } = await pair(t);
  const listeners = run(client.netns, 'ss -Htlnu; ss -Htlnm');
  for (const [address, port] of [
    ['*', 15001],
    ['*', 15006],
    ['*', 15008],
    ['127.0.0.1', 15053],
    ['[::1]', 15053],
  ]) {
    t.ok(listeners.includes(`${address}:${port} `), `${address}:${port}`);
  }
  const marked = run(client.netns, 'ss -Htlnme "sport >= 15000"').match(/fwmark:0x539/g);
  t.equal(marked?.length, 5, 'every listener');
});

t.test('ZDS: snapshot, keep, pending and protocol errors', async (t) => {
  const world = new World();
  t.teardown(() => world.close());
  const [a, b] = [world.pod('a', false), world.pod('b', false)];
  world.setState({ workloads: [workload(a), workload(b)] });
  const zt = new TestZtunnel(world, 'node');
  await zt.hello;
  const ready = async (): Promise<number> =>
    httpStatus(await zt.http(15021, 'GET', '/healthz/ready'));
  t.equal(await ready(), 500, 'not before the snapshot');
  t.equal(await zt.add(a), '');
  t.equal(await zt.add(a), '', 'the same again is a no-op');
  const bind = { address: '0.0.0.0', port: 15008 };
  const conflict = serveRaw(b, bind);
  t.match(
    await zt.add(b),
    /failed to bind to address \[::\]:15008: Address already in use \(os error 98\)/,
  );
  t.equal(await zt.snapshot(), '');
  t.match(
    await zt.http(15021, 'GET', '/healthz/ready'),
    /not ready, pending: workload proxy manager/,
  );
  conflict();
  for (let i = 0; i < 80 && (await ready()) !== 200; i++) await sleep(100);
  t.equal(await ready(), 200, 'retried within 5 s');
  t.match(run(b.netns, 'ss -Htln "sport = 15008"'), /15008/);

  t.test('a new stream reconciles: kept ones stay, unnamed ones are stopped', async (t) => {
    const first = zt.connection;
    first.close();
    for (let i = 0; i < 100 && zt.connection === first; i++) await sleep(20);
    t.equal(await ready(), 500, 'not ready until the new snapshot');
    t.match(run(b.netns, 'ss -Htln "sport = 15008"'), /15008/, 'proxies run on meanwhile');
    await zt.nextHello();
    t.equal(await zt.request({ kind: 'keep', uid: 'a' }), '');
    t.equal(await zt.snapshot(), '');
    t.equal(await ready(), 200);
    t.match(run(a.netns, 'ss -Htln "sport = 15008"'), /15008/);
    t.equal(run(b.netns, 'ss -Htln "sport = 15008"'), '');
  });

  t.test('another netns under the same uid takes over', async (t) => {
    const info = { name: 'a', namespace: 'default', serviceAccount: 'a' };
    t.equal(await zt.request({ kind: 'add', uid: 'a', workloadInfo: info }, [b.netns]), '');
    t.equal(run(a.netns, 'ss -Htln "sport = 15008"'), '');
    t.match(run(b.netns, 'ss -Htln "sport = 15008"'), /15008/);
  });

  t.test('an Add without descriptor drops the stream', async (t) => {
    const info = { name: 'a', namespace: 'default', serviceAccount: 'a' };
    const before = zt.connection;
    t.match(await zt.request({ kind: 'add', uid: 'x', workloadInfo: info }), /descriptor/);
    for (let i = 0; i < 100 && zt.connection === before; i++) await sleep(20);
    t.not(zt.connection, before, 'and it connects again');
    await zt.nextHello();
  });

  t.test('a second snapshot ends the process with status 1', async (t) => {
    t.equal(await zt.snapshot(), '');
    t.match(await zt.snapshot(), /already/);
    t.equal(await Promise.race([zt.exit, sleep(5000, 'timeout', UNREFERENCED)]), 1);
  });
});

t.test('an Add without workload_info ends the process with status 1', async (t) => {
  const world = new World();
  t.teardown(() => world.close());
  const zt = new TestZtunnel(world, 'node');
  await zt.hello;
  const netns = createNetns();
  t.teardown(() => closeNetns(netns));
  t.match(await zt.request({ kind: 'add', uid: 'x' }, [netns]), /workload_info is required/);
  t.equal(await Promise.race([zt.exit, sleep(5000, 'timeout', UNREFERENCED)]), 1);
});

t.test('the DNS proxy answers for the mesh and forwards the rest', async (t) => {
  const { world, client, server, zt } = await pair(t);
  const upstream = world.pod('upstream', false);
  run(client.netns, `ip route add 10.77.0.254 via 10.77.0.1`);
  run(upstream.netns, 'ip addr add 10.77.0.254/32 dev lo');
  world.route('10.77.0.254', upstream);
  const asked: string[] = [];
  const fd = openSocket({
    netns: upstream.netns,
    family: 'ipv4',
    type: 'dgram',
    bind: { address: '10.77.0.254', port: 53 },
  });
  const dns = createSocket('udp4').bind({ fd });
  t.teardown(() => dns.close());
  dns.on('message', (bytes, from) => {
    const query = decodeDns(bytes);
    const name = query.questions[0]?.name ?? '';
    asked.push(name);
    if (name === 'silent.example') return;
    const found = {
      name,
      type: 1,
      class: 1,
      ttlSeconds: 60,
      data: { kind: 'address', address: '192.0.2.1' },
    } as const;
    const isCut = name === 'cut.example';
    const answer = {
      ...query,
      isResponse: true,
      rcode: name === 'gone.example' ? 3 : 0,
      isTruncated: isCut,
      answers: name === 'gone.example' || isCut ? [] : [found],
    };
    dns.send(encodeDns(answer), from.port, from.address);
  });
  await serve(world, upstream, 53, (socket) => {
    socket.once('data', (bytes: Buffer) => {
      const query = decodeDns(bytes.subarray(2));
      const name = query.questions[0]?.name ?? '';
      const answers = [
        {
          name,
          type: 1,
          class: 1,
          ttlSeconds: 60,
          data: { kind: 'address', address: '192.0.2.2' },
        } as const,
      ];
      const answer = encodeDns({ ...query, isResponse: true, answers });
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      socket.write(Buffer.concat([length, answer]));
    });
  });
  const dig = async (args: string): Promise<string> => digIn(client, args);
  const name = 'server.default.svc.cluster.local';
  // The server named is far away: it is the redirect that makes the proxy answer.
  t.match(await dig(`+short ${name} A`), /^10\.96\.0\.10\n$/);
  t.match(await dig(`+tcp +short ${name} A`), /^10\.96\.0\.10\n$/);
  t.match(await dig(`${name} A`), /flags: qr aa rd ra;[\s\S]*30\s+IN\s+A\s+10\.96\.0\.10/);
  t.equal(await dig(`+short ${name} AAAA`), '', 'no record of that family');
  t.equal(await dig(`+short +tries=1 server A`), '10.96.0.10\n', 'short names');
  t.same(asked, [], 'nobody else was asked');
  t.match(
    await dig('other.example A'),
    /flags: qr rd ra;[\s\S]*60\s+IN\s+A\s+192\.0\.2\.1/,
    'forwarded, not authoritative',
  );
  t.match(await dig('+tcp +short other.example A'), /192\.0\.2\.1/);
  t.match(await dig('gone.example A'), /status: NXDOMAIN/);
  t.match(await dig('+short cut.example A'), /192\.0\.2\.2/, 'asked again over TCP when cut');
  t.ok(asked.includes('other.example'));
  t.match(await dig('+opcode=2 x.example A'), /status: NOTIMP/);
  t.equal(await outcome(client, server.ip, 8080), 'hello worldhello world');
  t.equal(httpStatus(await zt.http(15021, 'GET', '/healthz/ready')), 200);
});

t.test('dedicated mode serves one workload in the netns it was started in', async (t) => {
  const world = new World();
  t.teardown(() => world.close());
  const [client, server] = [world.pod('client', true), world.pod('server', true)];
  world.setState({ workloads: [workload(client), workload(server)] });
  const dedicated = (pod: Pod, env: Record<string, string> = {}): TestZtunnel =>
    new TestZtunnel(
      world,
      'node',
      {
        PROXY_MODE: 'dedicated',
        PROXY_WORKLOAD_INFO: `default/${pod.name}/${pod.name}`,
        PACKET_MARK: '1337',
        ...env,
      },
      pod.netns,
    );
  const [from, to] = [dedicated(client), dedicated(server)];
  await Promise.all([from.logLine('marking server ready'), to.logLine('marking server ready')]);
  await serve(world, server, 8080, echoTwice);
  t.equal(await outcome(client, server.ip, 8080), 'hello worldhello world');
  await from.logLine(
    'direction="outbound"',
    `src.identity="${spiffe('client')}"`,
    `dst.identity="${spiffe('server')}"`,
  );
  await to.logLine('direction="inbound"', `src.identity="${spiffe('client')}"`);
  t.match(readFileSync(`${world.dir}/node.keys`, 'utf8'), /CLIENT_TRAFFIC_SECRET_0/);

  const second = dedicated(client);
  t.equal(
    await Promise.race([second.exit, sleep(5000, 'timeout', UNREFERENCED)]),
    1,
    'a second one finds its ports taken',
  );
  t.match(second.output, /failed to bind to address \[::\]:15021: Address already in use/);
});

t.test('a start that cannot work says why and exits with status 1', async (t) => {
  const world = new World();
  t.teardown(() => world.close());
  const failing = async (env: Record<string, string>, why: RegExp): Promise<void> => {
    const zt = new TestZtunnel(world, 'node', env);
    t.equal(
      await Promise.race([zt.exit, sleep(8000, 'timeout', UNREFERENCED)]),
      1,
      JSON.stringify(env),
    );
    t.match(zt.output, why);
  };
  await Promise.all([
    failing(
      { XDS_ADDRESS: 'https://istiod:15012' },
      /Cannot use XDS_ADDRESS: it is "https:\/\/istiod:15012", wanted the empty string/,
    ),
    failing({ CA_KEY_FILE: '/nonexistent' }, /Cannot use "\/nonexistent" as a CA: ENOENT/),
    failing({ LOCAL_XDS_PATH: '/nonexistent' }, /ENOENT/),
  ]);
});

/** A listener that only occupies a port; the result closes it. */
function serveRaw(pod: Pod, bind: { address: string; port: number }): () => void {
  const fd = openSocket({ netns: pod.netns, family: 'ipv4', bind, listen: 1 });
  return () => closeFd(fd);
}

async function digIn(pod: Pod, args: string): Promise<string> {
  const child = withNetns(pod.netns, () =>
    spawn('dig', ['@10.77.0.254', '+time=4', ...args.split(' ')]),
  );
  let out = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  await once(child, 'close');
  return out;
}
