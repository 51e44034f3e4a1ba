import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import {
  httpStatus,
  MEMBER,
  outcome,
  pair,
  REFUSED,
  SERVER_SERVICE,
  spiffe,
  UNREFERENCED,
} from './ztunnel-pair.ts';
import { Http2Peer, tlsToPod } from './ztunnel-peer.ts';
import {
  chunk,
  dial,
  echoTwice,
  roundTrip,
  serve,
  TestZtunnel,
  text,
  workload,
  World,
} from './ztunnel-world.ts';

t.setTimeout(60_000);

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
