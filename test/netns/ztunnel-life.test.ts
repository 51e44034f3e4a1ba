import { createSocket } from 'node:dgram';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createNetns, closeNetns, withNetns } from '../../dataplane/kernel/netns.ts';
import { closeFd, openSocket } from '../../dataplane/kernel/sockets.ts';
import { decodeDns, encodeDns } from '../../dataplane/wire/dns.ts';
import { httpStatus, outcome, pair, spiffe, UNREFERENCED } from './ztunnel-pair.ts';
import { Http2Peer } from './ztunnel-peer.ts';
import {
  chunk,
  dial,
  echoTwice,
  type Pod,
  run,
  serve,
  TestZtunnel,
  text,
  workload,
  World,
} from './ztunnel-world.ts';

t.setTimeout(60_000);

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
