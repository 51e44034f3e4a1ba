import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import {
  logComplete,
  logEarlyDeny,
  type AccessContext,
} from '../../dataplane/ztunnel/access-log.ts';
import { ConfigError } from '../../dataplane/ztunnel/config-error.ts';
import { loadConfig } from '../../dataplane/ztunnel/config.ts';
import { answerLocally, refuse, udpLimit } from '../../dataplane/ztunnel/dns/answer.ts';
import { aliasesOf, podSearchDomains } from '../../dataplane/ztunnel/dns/names.ts';
import { parseResolvConf } from '../../dataplane/ztunnel/dns/resolv-conf.ts';
import { MessageCutter } from '../../dataplane/ztunnel/dns/tcp-framing.ts';
import { withWholeNames } from '../../dataplane/ztunnel/dns/whole-names.ts';
import {
  acceptTraceparent,
  formatBaggage,
  formatForwarded,
  newTraceparent,
  parseBaggage,
  parseForwardedHost,
} from '../../dataplane/ztunnel/headers.ts';
import {
  formatLogFilter,
  formatTimeUs,
  jsonLine,
  Logger,
  parseLogFilter,
} from '../../dataplane/ztunnel/log.ts';
import {
  connectionFailed,
  ioError,
  osErrorText,
  tunnelUnreachable,
} from '../../dataplane/ztunnel/proxy-error.ts';
import { encodeProxyProtocol } from '../../dataplane/ztunnel/proxy-protocol.ts';
import { Readiness, rustDuration } from '../../dataplane/ztunnel/readiness.ts';
import { MeshState } from '../../dataplane/ztunnel/state/mesh-state.ts';
import { StaticFileError } from '../../dataplane/ztunnel/state/static-file-error.ts';
import { parseStaticFile } from '../../dataplane/ztunnel/state/static-file.ts';
import { StateStore } from '../../dataplane/ztunnel/state/state-store.ts';
import { StateFileWatch } from '../../dataplane/ztunnel/state/watch-file.ts';
import { decodeDns, DNS_TYPE, type DnsMessage, encodeDns } from '../../dataplane/wire/dns.ts';

const ENV = { XDS_ADDRESS: '', FAKE_CA: 'true', CA_CERT_FILE: '/ca.pem', CA_KEY_FILE: '/key.pem' };

/** A logger that keeps what it writes; its clock stands still. */
function memoryLogger(filter = 'trace', format: 'plain' | 'json' = 'plain') {
  const lines: string[] = [];
  const log = new Logger({
    format,
    filter: parseLogFilter(filter)!,
    write: (text) => lines.push(text),
    nowUs: () => 1_795_252_927_312_409,
  });
  return { log, written: () => (log.flush(), lines.join('')) };
}

t.test('loadConfig() has the defaults of ztunnel', async (t) => {
  t.match(loadConfig(ENV), {
    proxyMode: 'shared',
    packetMark: 1337,
    inpodUds: '/var/run/ztunnel/ztunnel.sock',
    inpodPortReuse: true,
    ipv6Enabled: true,
    enableOrigSrc: undefined,
    network: '',
    clusterId: 'Kubernetes',
    clusterDomain: 'cluster.local',
    keepalive: {
      isEnabled: true,
      timeMs: 180_000,
      intervalMs: 180_000,
      retries: 9,
      isUserTimeoutEnabled: false,
    },
    http2: {
      streamWindowBytes: 4_194_304,
      connectionWindowBytes: 16_777_216,
      frameBytes: 1_048_576,
    },
    poolMaxStreams: 100,
    poolUnusedReleaseMs: 300_000,
    terminationDeadlineMs: 5000,
    secretTtlMs: 86_400_000,
    dnsProxyEnabled: true,
    dnsProxyAddress: { host: 'localhost', port: 15053 },
    logFormat: 'plain',
    ports: { admin: 15000, readiness: 15021 },
  });
  const dedicated = loadConfig({
    ...ENV,
    PROXY_MODE: 'dedicated',
    PROXY_WORKLOAD_INFO: 'ns/name/sa',
  });
  t.equal(dedicated.packetMark, undefined, 'no mark in dedicated mode');
  t.same(dedicated.proxyWorkload, { namespace: 'ns', name: 'name', serviceAccount: 'sa' });
  const deadline = (grace: string): number =>
    loadConfig({ ...ENV, TERMINATION_GRACE_PERIOD_SECONDS: grace }).terminationDeadlineMs;
  t.same([deadline('30'), deadline('10'), deadline('1')], [25_000, 9000, 1000]);
  t.equal(loadConfig({ ...ENV, CLUSTER_ID: 'a', ISTIO_META_CLUSTER_ID: 'b' }).clusterId, 'b');
  t.same(loadConfig({ ...ENV, ISTIO_META_DNS_PROXY_ADDR: '10.0.0.1:53' }).dnsProxyAddress, {
    host: { ip: '10.0.0.1', port: 53 },
    port: 53,
  });
});

t.test(
  'loadConfig() refuses what it cannot use, naming variable, value and what is wanted',
  async (t) => {
    const cases: readonly (readonly [
      variable: string,
      value: string | undefined,
      wanted: RegExp,
    ])[] = [
      ['XDS_ADDRESS', undefined, /is not set, wanted the empty string/],
      ['XDS_ADDRESS', 'https://istiod:15012', /xDS is not supported yet/],
      ['CA_ADDRESS', 'https://istiod:15012', /CA client over gRPC/],
      ['PROXY_MODE', 'both', /one of shared, dedicated/],
      ['PACKET_MARK', '0x539', /whole number/],
      ['INPOD_PORT_REUSE', 'yes', /true or false/],
      ['KEEPALIVE_TIME', '180', /a duration such as/],
      ['POOL_MAX_STREAMS_PER_CONNECTION', '0', /from 1 to/],
      ['HTTP2_FRAME_SIZE', '100', /from 16384/],
      ['CRL_PATH', '/crl.pem', /revocation lists/],
      ['TLS12_ENABLED', 'true', /only TLS 1.3/],
      ['UNSTABLE_ENABLE_SOCKS5', 'true', /SOCKS5/],
      ['CA_CERT_FILE', undefined, /a PEM file of the CA/],
      ['CA_KEY_FILE', '', /a PEM file of the CA/],
      ['FAKE_CA', 'false', /only come from CA files/],
      ['RUST_LOG', 'info,x=loud', /levels and scope=level/],
      ['LOG_FORMAT', 'xml', /one of plain, json/],
      ['ISTIO_META_DNS_PROXY_ADDR', 'dns:53', /localhost:port or ip:port/],
    ];
    for (const [variable, value, wanted] of cases) {
      const env: Record<string, string | undefined> = { ...ENV, [variable]: value };
      t.throws(
        () => loadConfig(env),
        { name: 'ConfigError', variable, message: wanted },
        `${variable}=${value}`,
      );
    }
    t.throws(() => loadConfig({ ...ENV, PROXY_MODE: 'dedicated' }), {
      name: 'ConfigError',
      variable: 'PROXY_WORKLOAD_INFO',
    });
    t.throws(
      () => loadConfig({ ...ENV, PROXY_MODE: 'dedicated', PROXY_WORKLOAD_INFO: 'a/b' }),
      ConfigError,
    );
    t.throws(() => loadConfig({ ...ENV, LOCAL_XDS: 'a', LOCAL_XDS_PATH: 'b' }), {
      name: 'ConfigError',
      variable: 'LOCAL_XDS',
    });
    t.throws(() => loadConfig({ ...ENV, ENABLE_PROXY: 'false', ISTIO_META_DNS_CAPTURE: 'false' }), {
      name: 'ConfigError',
      variable: 'ENABLE_PROXY',
    });
    t.doesNotThrow(() => loadConfig({ ...ENV, TLS12_ENABLED: 'false', XDS_ON_DEMAND: 'false' }));
  },
);

const WORKLOAD = `workloads:
- name: w
  namespace: default
  workloadIps: ["::ffff:10.0.0.1", "FD00::1"]
  services: {}
`;

t.test('parseStaticFile() has the defaults of ztunnel files', async (t) => {
  const [workload] = parseStaticFile('f', WORKLOAD).workloads;
  t.match(workload, {
    uid: '',
    serviceAccount: '',
    trustDomain: '',
    clusterId: '',
    protocol: 'TCP',
    networkMode: 'Standard',
    status: 'Healthy',
    capacity: 1,
    workloadIps: ['10.0.0.1', 'fd00::1'],
    waypoint: undefined,
  });
  t.same(parseStaticFile('f', ''), { workloads: [], policies: [], services: [] });
  t.same(parseStaticFile('f', 'workloads:\npolicies: []\n'), {
    workloads: [],
    policies: [],
    services: [],
  });
});

t.test('parseStaticFile() names line and column of each fault', async (t) => {
  const rules = (text: string): string => `policies:
- name: p
  namespace: n
  scope: Global
  action: Deny
  dryRun: false
  rules: ${text}
`;
  const cases: readonly (readonly [text: string, at: string, fault: RegExp])[] = [
    ['workload: []', '1:1', /"workload" is unknown, did you mean "workloads"\?/],
    [`${WORKLOAD}  protokol: HBONE\n`, '6:3', /did you mean "protocol"/],
    [`${WORKLOAD}  protocol: TLS\n`, '6:13', /is "TLS", one of TCP, HBONE is wanted/],
    [`${WORKLOAD}  node: 1\n`, '6:9', /is 1, a string is wanted/],
    [`${WORKLOAD}  capacity: -1\n`, '6:13', /whole number/],
    [
      `${WORKLOAD}  waypoint: {destination: nowhere, hboneMtlsPort: 15008}\n`,
      '6:27',
      /"network\/ip"/,
    ],
    [WORKLOAD.replace('  namespace: default\n', ''), '2:3', /lacks the key "namespace"/],
    [WORKLOAD.replace('"FD00::1"', 'nope'), '4:36', /an IP address is wanted/],
    [WORKLOAD.replace('  services: {}\n', ''), '2:3', /lacks the key "services"/],
    ['workloads: {}', '1:12', /a list is wanted/],
    ['workloads: [', '1:13', /./],
    ['a: &x 1\nb: *x', '2:4', /is an alias/],
    ['workloads: &x []\nservices: *x', '2:11', /aliases are not supported/],
    ['workloads: []\nworkloads: []', '2:1', /unique/],
    [WORKLOAD.replace('{}', '{a/b: {80: 1, "80": 2}}'), '5:27', /"80" stands here again/],
    [rules('[[[{principals: [x]}]]]'), '7:27', /lacks a tag, one of !Exact/],
    [rules('[[[{principals: [{Exact: x}]}]]]'), '7:27', /lacks a tag/],
    [rules('[[[{sourceIps: ["10.0.0.1"]}]]]'), '7:26', /address\/length is wanted/],
    [rules('[]').replace('  dryRun: false\n', ''), '2:3', /lacks the key "dryRun"/],
  ];
  for (const [text, at, fault] of cases) {
    t.throws(
      () => parseStaticFile('state.yaml', text),
      {
        name: 'StaticFileError',
        code: 'DATAPLANE_STATIC_FILE',
        message: new RegExp(`^Cannot read "state.yaml:${at}": .*${fault.source}`),
      },
      `${at} ${fault.source}`,
    );
  }
  t.throws(() => parseStaticFile('f', '['.repeat(200_000)), StaticFileError, 'too deep');
  t.throws(
    () => parseStaticFile('f', ' '.repeat(40_000_000)),
    { name: 'StaticFileError', message: /at most 33554432 are read/ },
    'too long',
  );
  const services = Array.from({ length: 30_000 }, (_, i) => `    n/s${i}: {}`).join('\n');
  const startMs = performance.now();
  const large = parseStaticFile('f', WORKLOAD.replace(' {}', `\n${services}`));
  t.equal(large.workloads[0]?.services.size, 30_000);
  t.ok(performance.now() - startMs < 6_000, 'keys are not compared each with each');
});

t.test('StateFileWatch follows the file and keeps the state when the file turns bad', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'ztunnel-state-'));
  // Neither the watch nor the waiting keeps a process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => (clearInterval(alive), rmSync(dir, { recursive: true })));
  const path = join(dir, 'state.yaml');
  writeFileSync(path, WORKLOAD);
  const { log, written } = memoryLogger();
  const store = new StateStore(undefined);
  using _watch = new StateFileWatch(path, store, log);
  t.equal(store.current.workloads.size, 1);
  const id = { name: 'late', namespace: 'default', serviceAccount: '' };
  const late = store.waitForLocal(id, 4000);
  writeFileSync(`${path}.new`, WORKLOAD.replace('name: w', 'name: late'));
  renameSync(`${path}.new`, path);
  t.equal((await late)?.name, 'late', 'a rename over the file counts, waiters are told');
  const before = store.current;
  writeFileSync(path, 'workloads: [');
  for (let i = 0; i < 100 && !written().includes('kept'); i++) await sleep(20);
  t.match(written(), /local config kept: .*state.yaml:1:13/);
  t.equal(store.current, before);
  writeFileSync(path, '');
  for (let i = 0; i < 100 && store.current === before; i++) await sleep(20);
  t.equal(store.current.workloads.size, 0, 'and goes on watching');
  t.equal(await store.waitForLocal(id, 20), undefined, 'waiting ends in time');
});

const PARTY = parseStaticFile(
  'f',
  `workloads:
- {uid: c1//Pod/default/client-1, name: client-1, namespace: default, serviceAccount: client, trustDomain: cluster.local, workloadIps: ["10.77.0.1"], clusterId: Kubernetes, workloadName: client, workloadType: deployment, canonicalName: client, canonicalRevision: v1, locality: {region: r1, zone: z1, subzone: ""}, services: {}}
- {uid: c1//Pod/default/server-1, name: server-1, namespace: default, serviceAccount: server, trustDomain: cluster.local, workloadIps: ["10.77.0.2"], clusterId: Kubernetes, services: {}}
`,
).workloads;
const [CLIENT, SERVER] = PARTY as [(typeof PARTY)[number], (typeof PARTY)[number]];
const spiffe = (sa: string): string => `spiffe://cluster.local/ns/default/sa/${sa}`;

const OUTBOUND: AccessContext = {
  direction: 'outbound',
  sourceAddress: { ip: '10.77.0.1', port: 60888 },
  destinationAddress: { ip: '10.77.0.2', port: 15008 },
  hboneTarget: '10.77.0.2:8080',
  service: 'server.default.svc.cluster.local',
  source: { workload: CLIENT, identity: spiffe('client') },
  destination: { workload: SERVER, identity: spiffe('server') },
};

t.test('access log lines equal those of the genuine ztunnel', async (t) => {
  const { log, written } = memoryLogger();
  logComplete(log, OUTBOUND, { bytesSent: 74, bytesReceived: 59, durationMs: 1.9 });
  logComplete(
    log,
    {
      direction: 'inbound',
      sourceAddress: { ip: '10.77.0.2', port: 40140 },
      destinationAddress: { ip: '10.77.0.1', port: 15008 },
      hboneTarget: '10.77.0.1:8081',
      source: { workload: SERVER, identity: spiffe('server') },
      destination: { workload: CLIENT, identity: spiffe('client') },
    },
    {
      bytesSent: 0,
      bytesReceived: 0,
      durationMs: 0.4,
      error: connectionFailed(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })).message,
    },
  );
  logComplete(
    log,
    {
      direction: 'inbound',
      sourceAddress: { ip: '10.77.0.2', port: 59860 },
      destinationAddress: { ip: '10.77.0.1', port: 8080 },
      source: { workload: SERVER },
      destination: { workload: CLIENT },
    },
    { bytesSent: 14, bytesReceived: 1, durationMs: 2 },
  );
  logEarlyDeny(
    log,
    'inbound',
    { ip: '10.77.0.2', port: 46786 },
    { ip: '10.77.0.1', port: 15008 },
    'ip mismatch: 10.77.0.1 != 10.77.0.2',
  );
  log.info('inpod::statemanager', 'received snapshot sent');
  // Copied from samples/log.txt of the fact sheets, the times made equal.
  const time = '2026-11-21T09:22:07.312409Z';
  t.equal(
    written(),
    [
      `${time}\tinfo\taccess\tconnection complete\tsrc.addr=10.77.0.1:60888 src.workload="client-1" src.namespace="default" src.identity="spiffe://cluster.local/ns/default/sa/client" src.cluster="Kubernetes" dst.addr=10.77.0.2:15008 dst.hbone_addr=10.77.0.2:8080 dst.service="server.default.svc.cluster.local" dst.workload="server-1" dst.namespace="default" dst.identity="spiffe://cluster.local/ns/default/sa/server" dst.cluster="Kubernetes" direction="outbound" bytes_sent=74 bytes_recv=59 duration="1ms"`,
      `${time}\terror\taccess\tconnection complete\tsrc.addr=10.77.0.2:40140 src.workload="server-1" src.namespace="default" src.identity="spiffe://cluster.local/ns/default/sa/server" src.cluster="Kubernetes" dst.addr=10.77.0.1:15008 dst.hbone_addr=10.77.0.1:8081 dst.workload="client-1" dst.namespace="default" dst.identity="spiffe://cluster.local/ns/default/sa/client" dst.cluster="Kubernetes" direction="inbound" bytes_sent=0 bytes_recv=0 duration="0ms" error="connection failed: Connection refused (os error 111)"`,
      `${time}\tinfo\taccess\tconnection complete\tsrc.addr=10.77.0.2:59860 src.workload="server-1" src.namespace="default" src.cluster="Kubernetes" dst.addr=10.77.0.1:8080 dst.workload="client-1" dst.namespace="default" dst.cluster="Kubernetes" direction="inbound" bytes_sent=14 bytes_recv=1 duration="2ms"`,
      `${time}\twarn\taccess\tconnection failed\tsrc.addr=10.77.0.2:46786 dst.addr=10.77.0.1:15008 direction="inbound" error="ip mismatch: 10.77.0.1 != 10.77.0.2"`,
      `${time}\tinfo\tinpod::statemanager\treceived snapshot sent\t`,
      '',
    ].join('\n'),
  );
});

t.test('Logger writes JSON and filters by scope', async (t) => {
  const json = memoryLogger('info', 'json');
  logComplete(json.log, OUTBOUND, { bytesSent: 1, bytesReceived: 2, durationMs: 13 });
  const line = JSON.parse(json.written()) as Record<string, unknown>;
  t.match(line, {
    level: 'info',
    time: '2026-11-21T09:22:07.312409Z',
    scope: 'access',
    message: 'connection complete',
    'src.addr': '10.77.0.1:60888',
    bytes_sent: 1,
    duration: '13ms',
  });
  t.same(Object.keys(line).slice(0, 4), ['level', 'time', 'scope', 'message']);
  t.notOk(jsonLine('t', 'info', 's', 'm', { gone: undefined }).includes('gone'));

  const scoped = memoryLogger('warn,access=debug,proxy::inbound=error');
  t.ok(scoped.log.isEnabled('debug', 'access'));
  t.notOk(scoped.log.isEnabled('info', 'proxy::outbound'));
  t.notOk(
    scoped.log.isEnabled('warn', 'proxy::inbound:span{a=b}'),
    'spans are no part of the scope',
  );
  t.ok(scoped.log.isEnabled('warn', 'proxy'));
  scoped.log.debug('proxy', 'not written');
  t.equal(scoped.written(), '');
  t.equal(
    formatLogFilter(parseLogFilter('access=debug,ztunnel::dns=off')!),
    'access=debug,dns=off,info',
  );
  t.equal(parseLogFilter('a:debug'), undefined);
  t.equal(formatTimeUs(5), '1970-01-01T00:00:00.000005Z');
});

t.test('errors are worded as Rust words them', async (t) => {
  const os = (code: string): Error => Object.assign(new Error(code), { osCode: code });
  t.equal(osErrorText(os('ECONNRESET')), 'Connection reset by peer (os error 104)');
  t.equal(osErrorText(new Error('else')), 'else');
  t.equal(ioError(os('ECONNREFUSED')).message, 'io error: Connection refused (os error 111)');
  t.equal(
    tunnelUnreachable(os('ETIMEDOUT')).message,
    'connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed',
  );
  t.equal(
    tunnelUnreachable(os('EHOSTUNREACH')).message,
    'io error: No route to host (os error 113)',
  );
  t.equal(connectionFailed(os('ETIMEDOUT')).message, 'connection failed: deadline has elapsed');
});

t.test('headers of a CONNECT are those of the genuine ztunnel', async (t) => {
  // Out of samples/hbone-frames.txt of the fact sheets.
  t.equal(
    formatBaggage(CLIENT, 'unused'),
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=client,service.name=client,service.version=v1,cloud.region=r1,cloud.availability_zone=z1',
  );
  t.equal(
    formatBaggage(SERVER, 'unused'),
    'k8s.cluster.name=Kubernetes,k8s.namespace.name=default',
    'empty ones are left out',
  );
  t.same(parseBaggage(formatBaggage(CLIENT, '')), {
    clusterId: 'Kubernetes',
    namespace: 'default',
    workloadName: 'client',
    workloadType: 'deployment',
    canonicalName: 'client',
    canonicalRevision: 'v1',
    region: 'r1',
    zone: 'z1',
  });
  t.match(parseBaggage('k8s.cronjob.name=c, service.name=,x=y,z'), {
    workloadName: 'c',
    workloadType: 'cronjob',
    canonicalName: undefined,
  });
  t.equal(
    formatForwarded({ ip: '10.77.0.1', port: 60888 }, 'server.default.svc.cluster.local'),
    'for="10.77.0.1:60888";host=server.default.svc.cluster.local',
  );
  t.equal(formatForwarded({ ip: '::1', port: 80 }, undefined), 'for="[::1]:80"');
  t.equal(parseForwardedHost('for="1.2.3.4:5";host="example.com"'), 'example.com');
  t.equal(parseForwardedHost('for="1.2.3.4:5";host='), undefined);
  t.equal(parseForwardedHost('host=bücher'), undefined);
  t.match(newTraceparent(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  const given = newTraceparent();
  t.equal(acceptTraceparent(given), given);
  t.match(acceptTraceparent('short'), /^00-/);
});

t.test('encodeProxyProtocol() writes version 2 with the identity in TLV 0xD0', async (t) => {
  const bytes = encodeProxyProtocol(
    { ip: '10.0.0.1', port: 258 },
    { ip: '10.0.0.2', port: 80 },
    'ab',
  );
  t.equal(
    bytes.toString('hex'),
    '0d0a0d0a000d0a515549540a' +
      '2111' +
      '0011' +
      '0a000001' +
      '0a000002' +
      '0102' +
      '0050' +
      'd00002' +
      '6162',
  );
  const mixed = encodeProxyProtocol({ ip: '10.0.0.1', port: 1 }, { ip: '::1', port: 2 }, undefined);
  t.equal(mixed[13], 0x21);
  t.equal(mixed.subarray(16, 32).toString('hex'), '00000000000000000000ffff0a000001');
});

t.test('Readiness tells what is awaited', async (t) => {
  const { log, written } = memoryLogger();
  const readiness = new Readiness(log);
  const tasks = ['b', 'a'].map((name) => readiness.register(name));
  t.same(readiness.pending(), ['a', 'b']);
  for (const task of tasks) task.complete();
  t.same(readiness.pending(), []);
  t.match(
    written(),
    /Task 'b' complete \([\d.]+(ms|µs)\), still awaiting 1 tasks\t\n.*Task 'a' complete .*marking server ready/,
  );
  tasks[0]?.reset();
  t.same(readiness.pending(), ['b'], 'the agent was lost');
  t.same(
    [rustDuration(3.080161), rustDuration(1500), rustDuration(0.0355), rustDuration(0.000001)],
    ['3.080161ms', '1.5s', '35.5µs', '1ns'],
  );
});

const DNS_MESH = `workloads:
- {uid: c//Pod/demo/client, name: client, namespace: demo, workloadIps: ["10.0.0.2"], services: {}}
- {uid: c//Pod/demo/h1, name: h1, namespace: demo, workloadIps: ["10.0.0.3", "fd00::3"], services: {demo/headless.demo.svc.cluster.local: {80: 80}}}
- {uid: c//Pod/demo/h2, name: h2, namespace: demo, workloadIps: ["10.0.0.4"], services: {demo/headless.demo.svc.cluster.local: {80: 80}}}
services:
- {name: server, namespace: demo, hostname: server.demo.svc.cluster.local, vips: ["/10.96.0.1", "/fd00::96", "other/10.96.9.9"], ports: {80: 80}}
- {name: headless, namespace: demo, hostname: headless.demo.svc.cluster.local, vips: [], ports: {80: 80}}
- {name: v4, namespace: demo, hostname: v4.demo.svc.cluster.local, vips: ["/10.96.0.2", "/fd00::97"], ports: {80: 80}, ipFamilies: IPv4}
- {name: away, namespace: other, hostname: away.other.svc.cluster.local, vips: ["/10.96.0.3"], ports: {80: 80}}
- {name: hidden, namespace: other, hostname: hidden.other.svc.cluster.local, vips: ["/10.96.0.4"], ports: {80: 80}, visibility: Namespace}
- {name: wild, namespace: demo, hostname: "*.example.com", vips: ["/10.96.0.5"], ports: {80: 80}}
- {name: narrow, namespace: demo, hostname: "*.b.example.com", vips: ["/10.96.0.6"], ports: {80: 80}}
- {name: ext, namespace: demo, hostname: ext.org, vips: ["/10.96.0.7"], ports: {80: 80}}
- {name: novip, namespace: demo, hostname: novip.org, vips: [], ports: {80: 80}}
- {name: twice, namespace: x, hostname: twice.org, vips: ["/10.96.0.8"], ports: {80: 80}}
- {name: twice, namespace: pref, hostname: twice.org, vips: ["/10.96.0.9"], ports: {80: 80}}
`;

function query(
  name: string,
  type: number = DNS_TYPE.A,
  over: Partial<DnsMessage> = {},
): DnsMessage {
  return {
    id: 7,
    isResponse: false,
    opcode: 0,
    isAuthoritative: false,
    isTruncated: false,
    isRecursionDesired: true,
    isRecursionAvailable: false,
    isAuthenticData: false,
    isCheckingDisabled: false,
    rcode: 0,
    questions: [{ name, type, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
    ...over,
  };
}

function ask(
  name: string,
  type?: number,
  over: { search?: string[]; ipv6Enabled?: boolean; preferred?: string } = {},
): string {
  const state = new MeshState(parseStaticFile('dns.yaml', DNS_MESH));
  const local = answerLocally(
    query(name, type),
    {
      state,
      client: state.workloads.get('c//Pod/demo/client')!,
      names: {
        clientNamespace: 'demo',
        clusterDomain: 'cluster.local',
        searchDomains: over.search ?? podSearchDomains('demo', 'cluster.local'),
      },
      ipv6Enabled: over.ipv6Enabled ?? true,
      preferredNamespace: over.preferred,
    },
    (addresses) => addresses,
  );
  if (!local) return 'forward';
  const { response } = local;
  t.match(response, {
    id: 7,
    isResponse: true,
    isAuthoritative: true,
    isRecursionAvailable: true,
    rcode: 0,
  });
  return response.answers
    .map(
      (r) =>
        `${r.name} ${r.ttlSeconds} ${r.type === DNS_TYPE.CNAME ? 'CNAME ' : ''}${r.data.kind === 'address' ? r.data.address : r.data.kind === 'name' ? r.data.name : '?'}`,
    )
    .join(', ');
}

t.test('answerLocally() knows services in all forms of their names', async (t) => {
  for (const name of [
    'server',
    'server.demo',
    'server.demo.svc',
    'server.demo.svc.cluster.local',
    'SERVER.Demo.',
  ]) {
    t.equal(ask(name), `${name} 30 10.96.0.1`, name);
  }
  t.equal(ask('server', DNS_TYPE.AAAA), 'server 30 fd00::96');
  t.equal(ask('server', DNS_TYPE.AAAA, { ipv6Enabled: false }), '', 'NOERROR without records');
  t.equal(ask('v4.demo', DNS_TYPE.AAAA), '', 'a family the service has not');
  t.equal(
    ask('headless'),
    'headless 30 10.0.0.3, headless 30 10.0.0.4',
    'one address per endpoint',
  );
  t.equal(ask('headless', DNS_TYPE.AAAA), 'headless 30 fd00::3');
  t.equal(ask('away.other'), 'away.other 30 10.96.0.3');
  for (const name of [
    'away',
    'hidden.other',
    'novip.org',
    'google.com',
    'nosuch.demo.svc.cluster.local',
    '',
  ]) {
    t.equal(ask(name), 'forward', name);
  }
  t.equal(ask('server', DNS_TYPE.TXT), 'forward', 'other types');
});

t.test('answerLocally() strips search domains with a CNAME, and knows wildcards', async (t) => {
  t.equal(
    ask('ext.org.demo.svc.cluster.local'),
    'ext.org.demo.svc.cluster.local 30 CNAME ext.org, ext.org 30 10.96.0.7',
  );
  t.equal(
    ask('server.demo.svc.cluster.local.demo.svc.cluster.local'),
    'server.demo.svc.cluster.local.demo.svc.cluster.local 30 CNAME server.demo.svc.cluster.local, server.demo.svc.cluster.local 30 10.96.0.1',
  );
  t.equal(
    ask('server.lan', DNS_TYPE.A, { search: ['lan'] }),
    'server.lan 30 CNAME server, server 30 10.96.0.1',
  );
  t.equal(ask('a.example.com'), 'a.example.com 30 10.96.0.5');
  t.equal(ask('a.b.example.com'), 'a.b.example.com 30 10.96.0.6', 'the most specific one');
  t.equal(ask('example.com'), 'forward', 'a wildcard needs a label');
  t.equal(
    ask('a.example.com.demo.svc.cluster.local'),
    'a.example.com.demo.svc.cluster.local 30 10.96.0.5',
    'no CNAME through a wildcard',
  );
  t.equal(ask('twice.org'), 'twice.org 30 10.96.0.8');
  t.equal(ask('twice.org', DNS_TYPE.A, { preferred: 'pref' }), 'twice.org 30 10.96.0.9');
  const context = { clientNamespace: 'ns', clusterDomain: 'cluster.local', searchDomains: [] };
  const names = (name: string): string[] => aliasesOf(name, context).map((alias) => alias.name);
  t.same(names('a'), ['a', 'a.ns.svc.cluster.local']);
  t.same(names('a.b'), ['a.b', 'a.b.svc.cluster.local', 'a.b.ns.svc.cluster.local']);
  t.same(names('a.b.svc'), ['a.b.svc', 'a.b.svc.cluster.local', 'a.b.svc.svc.cluster.local']);
  t.same(names('a.b.c'), ['a.b.c', 'a.b.c.svc.cluster.local']);
  t.same(names('p.a.b.svc'), ['p.a.b.svc', 'p.a.b.svc.cluster.local']);
});

t.test(
  'DNS messages that are no queries are refused, EDNS is echoed, sizes are kept',
  async (t) => {
    t.equal(refuse(query('a', 1, { isResponse: true }))?.rcode, 1, 'FORMERR');
    t.equal(refuse(query('a', 1, { opcode: 5 }))?.rcode, 4, 'NOTIMP');
    t.equal(refuse(query('a', 1, { questions: [] }))?.rcode, 1);
    t.equal(refuse(query('a')), undefined);
    const edns = (udpPayloadBytes: number) => ({
      udpPayloadBytes,
      version: 0,
      isDnssecOk: false,
      options: [],
    });
    t.same(
      [
        udpLimit(query('a')),
        udpLimit(query('a', 1, { edns: edns(100) })),
        udpLimit(query('a', 1, { edns: edns(1232) })),
      ],
      [512, 512, 1232],
    );

    const vips = Array.from({ length: 256 }, (_, i) => `"/10.1.0.${i}"`).join(', ');
    const state = new MeshState(
      parseStaticFile(
        'f',
        `workloads:\n- {name: c, namespace: demo, workloadIps: [], services: {}, uid: c}\nservices:\n- {name: big, namespace: demo, hostname: big.org, vips: [${vips}], ports: {}}\n`,
      ),
    );
    const lookup = {
      state,
      client: state.workloads.get('c')!,
      names: { clientNamespace: 'demo', clusterDomain: 'c', searchDomains: [] },
      ipv6Enabled: true,
    };
    const big = query('big.org', 1, { edns: edns(1232) });
    const { response } = answerLocally(big, lookup, (a) => a)!;
    t.match(response.edns, { udpPayloadBytes: 1232, version: 0 });
    const udp = decodeDns(encodeDns(response, udpLimit(big)));
    t.ok(udp.isTruncated);
    t.ok(
      udp.answers.length > 60 && udp.answers.length < 80,
      `${udp.answers.length} of 256 over UDP`,
    );
    t.equal(decodeDns(encodeDns(response)).answers.length, 256, 'all over TCP');
  },
);

t.test('DNS framing, resolv.conf and copied records', async (t) => {
  const cutter = new MessageCutter();
  t.same(cutter.push(Buffer.from([0])), []);
  t.same(cutter.push(Buffer.from([2, 1])), []);
  t.same(cutter.push(Buffer.from([2, 0, 1, 9, 0])), [Buffer.from([1, 2]), Buffer.from([9])]);
  t.same(
    parseResolvConf(
      '# x\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver ::1 ; local\nsearch A.b. c\noptions ndots:5\n',
    ),
    {
      servers: [
        { ip: '10.0.0.1', port: 53 },
        { ip: '::1', port: 53 },
      ],
      searchDomains: ['a.b', 'c'],
    },
  );
  // An MX record whose name is a pointer to the question.
  const head = encodeDns({ ...query('a.example', 15), isResponse: true });
  head.writeUInt16BE(1, 6);
  const mx = Buffer.from([0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 9, 0, 4, 0, 10, 0xc0, 12]);
  const bytes = Buffer.concat([head, mx]);
  const whole = withWholeNames(decodeDns(bytes), bytes);
  const moved = decodeDns(
    encodeDns({ ...whole, questions: [{ name: 'other', type: 15, class: 1 }] }),
  );
  t.same(moved.answers[0]?.data, {
    kind: 'raw',
    data: Buffer.from('000a01610765 78616d706c6500'.replace(' ', ''), 'hex'),
  });
});
