import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import {
  type ConntrackChange,
  listConntrack,
  watchConntrack,
} from '../../dataplane/kernel/conntrack.ts';
import { isKernelError, KernelError } from '../../dataplane/kernel/errors.ts';
import { umount } from '../../dataplane/kernel/mount.ts';
import { NetlinkError, NetlinkSocket } from '../../dataplane/kernel/netlink.ts';
import {
  bindNetns,
  createNetns,
  netnsInode,
  openNetns,
  withNetns,
} from '../../dataplane/kernel/netns.ts';
import { watchFd } from '../../dataplane/kernel/poll.ts';
import {
  lockFile,
  peerCredentials,
  realtimeNs,
  reapOrphans,
} from '../../dataplane/kernel/process.ts';
import {
  addAddress,
  addRoute,
  addRule,
  createBridge,
  createVeth,
  deleteLink,
  deleteRoute,
  deleteRule,
  setLink,
} from '../../dataplane/kernel/rtnetlink.ts';
import {
  findLink,
  listLinks,
  listRoutes,
  listRules,
} from '../../dataplane/kernel/rtnetlink-list.ts';
import { SeqpacketConnection, SeqpacketListener } from '../../dataplane/kernel/seqpacket.ts';
import {
  acceptFd,
  closeFd,
  connectFd,
  localAddress,
  openSocket,
  originalDestination,
  peerAddress,
  setSocketMark,
  socketMark,
} from '../../dataplane/kernel/sockets.ts';

const scratch = mkdtempSync(join(tmpdir(), 'kernel-test-'));
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

/** A netns of the test's own, with lo up. */
function scratchNetns(test: Test): number {
  const fd = createNetns();
  test.teardown(() => closeSync(fd));
  using socket = new NetlinkSocket({ protocol: 'route', netns: fd });
  socket.request([setLink('lo', { isUp: true })]);
  return fd;
}

function run(netns: number, command: string, ...args: string[]): string {
  return withNetns(netns, () => execFileSync(command, args, { encoding: 'utf8', timeout: 20_000 }));
}

function ip<T>(netns: number, ...args: string[]): T {
  return JSON.parse(run(netns, 'ip', '-j', '-d', ...args)) as T;
}

/** Two namespaces joined by a veth pair: 10.9.0.1 and 10.9.0.2, fd09::1 and fd09::2. */
function pair(test: Test): { a: number; b: number } {
  const [a, b] = [scratchNetns(test), scratchNetns(test)];
  using atA = new NetlinkSocket({ protocol: 'route', netns: a });
  using atB = new NetlinkSocket({ protocol: 'route', netns: b });
  atA.request([createVeth({ name: 'eth0', index: 7 }, { name: 'eth0', index: 9, netns: b })]);
  for (const [socket, index, n] of [
    [atA, 7, 1],
    [atB, 9, 2],
  ] as const) {
    socket.request([
      addAddress({ address: `10.9.0.${n}/24`, index }),
      addAddress({ address: `fd09::${n}/64`, index }),
      setLink(index, { isUp: true }),
    ]);
  }
  return { a, b };
}

t.test('createNetns() makes a namespace and leaves the caller at home', async (t) => {
  const home = netnsInode(-1);
  const netns = createNetns();
  t.not(netnsInode(netns), home);
  t.equal(run(netns, 'readlink', '/proc/self/ns/net').trim(), `net:[${netnsInode(netns)}]`);
  t.equal(
    execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).trim(),
    `net:[${home}]`,
  );
  const path = join(scratch, 'bound');
  bindNetns(netns, path);
  const again = openNetns(path);
  t.equal(netnsInode(again), netnsInode(netns), 'the bound file is the same namespace');
  closeSync(again);
  closeSync(netns);
  umount(path);
});

t.test(
  'withNetns() comes home when the function throws, nests, and refuses promises',
  async (t) => {
    const [outer, inner] = [scratchNetns(t), scratchNetns(t)];
    const where = () =>
      execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).trim();
    const home = where();
    t.throws(
      () =>
        withNetns(outer, () => {
          throw new Error('mine');
        }),
      { message: 'mine' },
    );
    t.equal(where(), home);
    withNetns(outer, () => {
      const fd = openSocket({ netns: inner, family: 'ipv4' });
      closeFd(fd);
      t.equal(where(), `net:[${netnsInode(outer)}]`, 'a nested call returns to the outer one');
    });
    t.throws(() => withNetns(outer, async () => 1), { code: 'DATAPLANE_KERNEL_ASYNC' });
    const file = openSync('/dev/null', 'r');
    t.throws(() => withNetns(file, () => 1), { code: 'DATAPLANE_KERNEL_EINVAL', syscall: 'setns' });
    closeSync(file);
    t.equal(where(), home);
  },
);

t.test('withNetns() starts a child process inside', async (t) => {
  const netns = scratchNetns(t);
  const child = withNetns(netns, () => spawn('readlink', ['/proc/self/ns/net']));
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  t.equal(text.toString().trim(), `net:[${netnsInode(netns)}]`);
});

t.test('openSocket() sets every option before bind and says which step failed', async (t) => {
  const netns = scratchNetns(t);
  const options = {
    netns,
    family: 'ipv6',
    mark: 0x539,
    transparent: true,
    reusePort: true,
    noDelay: true,
    keepAlive: { idleS: 180, intervalS: 180, probes: 9 },
    userTimeoutMs: 1_800_000,
    bind: { address: '::', port: 15001 },
    listen: 128,
  } as const;
  const fd = openSocket(options);
  t.equal(socketMark(fd), 0x539);
  t.same(localAddress(fd), { family: 6, address: '::', port: 15001 });
  const listed = run(netns, 'ss', '-Hltneom');
  t.match(listed, /\*:15001/);
  t.match(listed, /fwmark:0x539/);
  const second = openSocket(options);
  t.pass('a second listener shares the port by SO_REUSEPORT');
  t.throws(() => openSocket({ ...options, reusePort: false }), {
    name: 'KernelError',
    code: 'DATAPLANE_KERNEL_EADDRINUSE',
    syscall: 'bind',
    message: /Cannot open ipv6 stream socket on "\[::\]:15001"/,
  });
  closeFd(fd);
  closeFd(second);
  t.throws(() => closeFd(fd), { code: 'DATAPLANE_KERNEL_EBADF' });
  const nowhere = { address: '192.0.2.7', port: 0 };
  t.throws(() => openSocket({ netns, family: 'ipv4', bind: nowhere }), {
    code: 'DATAPLANE_KERNEL_EADDRNOTAVAIL',
  });
  const spoofed = openSocket({ netns, family: 'ipv4', transparent: true, bind: nowhere });
  t.match(localAddress(spoofed), { address: '192.0.2.7' }, 'a transparent bind takes it');
  closeFd(spoofed);
  t.throws(() => openSocket({ family: 'ipv4', bind: { address: 'no', port: 1 } }), KernelError);
  t.throws(() => openSocket({ family: 'ipv4', bind: { address: '1.1.1.1', port: 70000 } }));
});

t.test('localAddress() and peerAddress() show v4-mapped addresses as IPv4', async (t) => {
  const netns = scratchNetns(t);
  const bind = { address: '::', port: 8080 };
  const listener = openSocket({ netns, family: 'ipv6', bind, listen: 8 });
  const client = openSocket({ netns, family: 'ipv4' });
  connectFd(client, 'ipv4', { address: '127.0.0.1', port: 8080 });
  await sleep(20);
  const accepted = acceptFd(listener);
  t.not(accepted, undefined);
  if (accepted === undefined) return;
  t.same(localAddress(accepted), { family: 4, address: '127.0.0.1', port: 8080 });
  t.same(peerAddress(accepted), localAddress(client));
  t.equal(originalDestination(accepted), undefined, 'nothing was redirected');
  t.equal(acceptFd(listener), undefined);
  for (const fd of [accepted, client, listener]) closeFd(fd);
});

t.test('originalDestination() is where the client wanted to go, IPv4 and IPv6', async (t) => {
  const { a, b } = pair(t);
  for (const tables of ['iptables', 'ip6tables']) {
    const rule = ['-p', 'tcp', '-j', 'REDIRECT', '--to-ports', '15001'];
    run(b, tables, '-w', '-t', 'nat', '-A', 'PREROUTING', ...rule);
  }
  const listener = openSocket({
    netns: b,
    family: 'ipv6',
    mark: 0x539,
    bind: { address: '::', port: 15001 },
    listen: 8,
  });
  for (const [family, address] of [
    ['ipv4', '10.9.0.2'],
    ['ipv6', 'fd09::2'],
  ] as const) {
    const client = openSocket({ netns: a, family });
    connectFd(client, family, { address, port: 80 });
    let accepted: number | undefined;
    for (let i = 0; i < 100 && accepted === undefined; i++) {
      await sleep(10);
      accepted = acceptFd(listener);
    }
    if (accepted === undefined) return t.fail(`no ${family} connection arrived`);
    t.match(originalDestination(accepted), { address, port: 80 });
    t.match(localAddress(accepted), { port: 15001 });
    t.equal(socketMark(accepted), 0x539, 'accepted sockets inherit the mark');
    setSocketMark(accepted, 0x111);
    t.equal(socketMark(accepted), 0x111);
    closeFd(accepted);
    closeFd(client);
  }
  closeFd(listener);
});

t.test('openSocket() gives descriptors that node:net listens on and connects', async (t) => {
  const netns = scratchNetns(t);
  const bind = { address: '127.0.0.1', port: 9000 };
  const server = createServer((socket) => socket.end('hello'));
  server.listen({ fd: openSocket({ netns, family: 'ipv4', bind, listen: 8 }) });
  await once(server, 'listening');
  const client = new Socket({ fd: openSocket({ netns, family: 'ipv4', mark: 7 }) });
  client.connect({ host: '127.0.0.1', port: 9000 });
  const [text] = (await once(client, 'data')) as [Buffer];
  t.equal(text.toString(), 'hello');
  client.destroy();
  server.close();
});

t.test('watchFd() tells readiness and ends with its disposal', async (t) => {
  const path = join(scratch, 'dgram');
  const server = openSocket({ family: 'unix', type: 'dgram', bind: { path } });
  const client = openSocket({ family: 'unix', type: 'dgram' });
  connectFd(client, 'unix', { path });
  let calls = 0;
  const watch = watchFd(server, () => calls++);
  await sleep(20);
  t.equal(calls, 0, 'silent while nothing is there');
  const out = new SeqpacketConnection(client);
  await out.send(Buffer.from('x'));
  await sleep(20);
  t.ok(calls > 0);
  watch[Symbol.dispose]();
  const after = calls;
  await sleep(20);
  t.equal(calls, after, 'silent after disposal');
  out.close();
  closeFd(server);
  t.throws(() => watchFd(9999, () => undefined), KernelError);
});

t.test('SeqpacketConnection carries packets and descriptors both ways', async (t) => {
  const netns = scratchNetns(t);
  const path = join(scratch, 'zds.sock');
  const listener = new SeqpacketListener(path);
  const arrived = once(listener, 'connection') as Promise<[SeqpacketConnection]>;
  const client = SeqpacketConnection.connect(path);
  const [server] = await arrived;
  t.equal(peerCredentials(server.fd).pid, process.pid);
  const seen: string[] = [];
  server.on('message', ({ data, fds }) => {
    seen.push(`${data.toString()} ${fds.map((fd) => netnsInode(fd)).join()}`);
    fds.forEach((fd) => closeSync(fd));
  });
  await client.send(Buffer.from('one'));
  await client.send(Buffer.from('two'), [netns]);
  await client.send(Buffer.from('three'));
  await sleep(30);
  const inode = netnsInode(netns);
  t.same(seen, ['one ', `two ${inode}`, 'three '], 'packets keep their bounds and their order');
  const reply = once(client, 'message') as Promise<[{ data: Buffer }]>;
  await server.send(Buffer.from('ack'));
  t.equal((await reply)[0].data.toString(), 'ack');
  client.on('message', () => undefined);
  server.close();
  await once(client, 'close');
  await t.rejects(client.send(Buffer.from('late')), { code: 'DATAPLANE_KERNEL_EPIPE' });
  await t.rejects(SeqpacketConnection.connect(path).send(Buffer.alloc(0)), {
    code: 'DATAPLANE_KERNEL_EINVAL',
  });
  listener.close();
  t.notOk(existsSync(path));
  t.throws(() => SeqpacketConnection.connect(path), { code: 'DATAPLANE_KERNEL_ENOENT' });
});

t.test('SeqpacketConnection fails on a truncated packet and waits for a slow reader', async (t) => {
  const path = join(scratch, 'small.sock');
  const listener = new SeqpacketListener(path, { maxReadBytes: 16 });
  const arrived = once(listener, 'connection') as Promise<[SeqpacketConnection]>;
  const client = SeqpacketConnection.connect(path);
  const [server] = await arrived;
  const packets = 2000;
  const sent = Promise.all(
    Array.from({ length: packets }, (_, i) => client.send(Buffer.from(String(i)))),
  );
  await sleep(20);
  const got: string[] = [];
  server.on('message', ({ data }) => got.push(data.toString()));
  await sent;
  await sleep(30);
  t.same(
    got,
    Array.from({ length: packets }, (_, i) => String(i)),
    'all, in order',
  );
  const failed = once(server, 'error') as unknown as Promise<[KernelError]>;
  server.on('error', () => undefined);
  const closed = once(server, 'close').then(
    () => true,
    () => true,
  );
  const error = new Promise<unknown>((resolve) => server.on('error', resolve));
  await client.send(Buffer.alloc(17));
  t.ok(isKernelError(await error, 'EMSGSIZE'));
  t.ok(await closed);
  t.ok(server.isClosed);
  void failed.catch(() => undefined);
  client.close();
  listener.close();
});

t.test('createVeth(), setLink() and addAddress() do what ip(8) then shows', async (t) => {
  const [a, b] = [scratchNetns(t), scratchNetns(t)];
  using socket = new NetlinkSocket({ protocol: 'route' });
  const [macA, macB] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'];
  socket.request([
    createVeth(
      { name: 'vetha', netns: a, mac: macA, mtuBytes: 1400, index: 42 },
      { name: 'eth0', netns: b, mac: macB, mtuBytes: 1400, index: 24 },
    ),
  ]);
  using atA = new NetlinkSocket({ protocol: 'route', netns: a });
  using atB = new NetlinkSocket({ protocol: 'route', netns: b });
  atA.request([createBridge({ name: 'br0', index: 50, mac: '02:00:00:00:00:50' })]);
  atA.request([
    setLink('vetha', { isUp: true, master: 50 }),
    setLink('br0', { isUp: true }),
    addAddress({ address: '10.1.0.1/16', index: 50 }),
  ]);
  atB.request([
    setLink(24, { name: 'uplink' }),
    setLink(24, { isUp: true, mtuBytes: 1300 }),
    addAddress({ address: '10.1.0.2/32', index: 24 }),
    addAddress({ address: 'fd00::2/64', index: 24 }),
  ]);
  type Shown = { ifname: string; ifindex: number; address: string; mtu: number; master?: string };
  const shown = ip<Shown[]>(a, 'link', 'show');
  t.match(
    shown.find((link) => link.ifname === 'vetha'),
    {
      ifindex: 42,
      address: macA,
      mtu: 1400,
      master: 'br0',
    },
  );
  t.match(
    listLinks(atA).find((link) => link.name === 'vetha'),
    {
      index: 42,
      mac: macA,
      kind: 'veth',
      master: 50,
      isUp: true,
      peer: { index: 24 },
    },
  );
  t.match(findLink(atB, 'uplink'), { index: 24, mtuBytes: 1300, mac: macB });
  t.equal(findLink(atB, 'eth0'), undefined, 'renamed');
  t.ok(findLink(atB, 'lo')?.isLoopback);
  const addresses = run(b, 'ip', '-br', 'addr', 'show', 'uplink');
  t.match(addresses, '10.1.0.2/32');
  t.match(addresses, 'fd00::2/64');
  t.match(run(a, 'ip', 'addr', 'show', 'br0'), 'inet 10.1.0.1/16 brd 10.1.255.255');
  atB.request([deleteLink('uplink')]);
  t.equal(findLink(atA, 42), undefined, 'the peer went along');
});

t.test('addRoute() and addRule() read back as ip(8) and this module list them', async (t) => {
  const { a } = pair(t);
  using socket = new NetlinkSocket({ protocol: 'route', netns: a });
  const lo = findLink(socket, 'lo')?.index;
  socket.request([
    addRoute({ to: '10.50.0.0/16', via: '10.9.0.2', index: 7 }),
    addRoute({ to: '169.254.1.1', index: 7, scope: 'link' }),
    addRoute({ to: 'default', via: '169.254.1.1', index: 7, source: '10.9.0.1', isOnlink: true }),
    addRoute({ to: '0.0.0.0/0', type: 'local', index: lo, table: 100 }),
    addRoute({ to: '10.60.0.0/16', type: 'blackhole', table: 1000 }),
    addRoute({ to: 'fd50::/64', via: 'fd09::2', index: 7 }),
    addRule({ family: 'ipv4', mark: 0x111, mask: 0xfff, table: 100, priority: 32764 }),
    addRule({ family: 'ipv6', mark: 0x111, mask: 0xfff, table: 100, priority: 32764 }),
    addRule({ family: 'ipv4', from: '10.9.0.0/24', table: 1000, priority: 99, isInverted: true }),
  ]);
  const main = run(a, 'ip', 'route');
  t.match(main, '10.50.0.0/16 via 10.9.0.2 dev eth0');
  t.match(main, '169.254.1.1 dev eth0 scope link');
  t.match(main, 'default via 169.254.1.1 dev eth0 src 10.9.0.1 onlink');
  t.match(run(a, 'ip', 'route', 'show', 'table', '100'), 'local default dev lo scope host');
  t.match(run(a, 'ip', 'route', 'show', 'table', '1000'), 'blackhole 10.60.0.0/16');
  t.match(run(a, 'ip', '-6', 'route'), 'fd50::/64 via fd09::2 dev eth0');
  t.match(run(a, 'ip', 'rule'), '32764:\tfrom all fwmark 0x111/0xfff lookup 100');
  t.match(run(a, 'ip', 'rule'), '99:\tnot from 10.9.0.0/24 lookup 1000');
  t.match(run(a, 'ip', '-6', 'rule'), '32764:\tfrom all fwmark 0x111/0xfff lookup 100');
  const routes = listRoutes(socket, 'ipv4');
  t.match(
    routes.find((route) => route.table === 100),
    { to: '0.0.0.0/0', type: 2, index: lo },
  );
  t.match(
    routes.find((route) => route.table === 1000),
    { to: '10.60.0.0/16', type: 6 },
  );
  t.ok(routes.some((route) => route.isOnlink && route.via === '169.254.1.1'));
  t.ok(listRoutes(socket, 'ipv6').some((route) => route.to === 'fd50::/64'));
  t.match(
    listRules(socket, 'ipv4').find((rule) => rule.priority === 32764),
    {
      mark: 0x111,
      mask: 0xfff,
      table: 100,
    },
  );
  socket.request([
    deleteRoute({ to: '0.0.0.0/0', type: 'local', index: lo, table: 100 }),
    deleteRule({ family: 'ipv4', mark: 0x111, mask: 0xfff, table: 100, priority: 32764 }),
  ]);
  t.notOk(listRoutes(socket, 'ipv4').some((route) => route.table === 100));
  t.notOk(listRules(socket, 'ipv4').some((rule) => rule.table === 100));
});

t.test('NetlinkSocket names the refused message and the reason of the kernel', async (t) => {
  const netns = scratchNetns(t);
  using socket = new NetlinkSocket({ protocol: 'route', netns });
  const good = addRoute({ to: '10.0.0.0/8', type: 'blackhole' });
  const bad = addRoute({ to: '10.1.0.0/16', via: '192.0.2.1' });
  try {
    socket.request([good, bad, addRoute({ to: '11.0.0.0/8', type: 'blackhole' })]);
    t.fail('the unreachable gateway was taken');
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    t.match(error, { code: 'DATAPLANE_KERNEL_ENETUNREACH', messageIndex: 1 });
    t.match(error.explanation, /gateway/i);
  }
  t.match(run(netns, 'ip', 'route'), 'blackhole 11.0.0.0/8', 'later messages are carried out');
  const many = Array.from({ length: 3000 }, (_, i) =>
    addRoute({ to: `172.${16 + (i >> 8)}.${i & 255}.0/24`, type: 'blackhole' }),
  );
  socket.request(many);
  t.equal(listRoutes(socket, 'ipv4').filter((r) => r.to.startsWith('172.')).length, 3000);
  t.throws(() => socket.request(many.slice(0, 1)), { code: 'DATAPLANE_KERNEL_EEXIST' });
});

t.test('watchConntrack() tells new, update and destroy with tuples, mark and NAT', async (t) => {
  const { a, b } = pair(t);
  run(
    b,
    'iptables',
    '-w',
    '-t',
    'nat',
    '-A',
    'PREROUTING',
    '-p',
    'tcp',
    '--dport',
    '80',
    '-j',
    'REDIRECT',
    '--to-ports',
    '9080',
  );
  run(
    b,
    'iptables',
    '-w',
    '-t',
    'mangle',
    '-A',
    'PREROUTING',
    '-p',
    'tcp',
    '-j',
    'CONNMARK',
    '--set-mark',
    '0x111',
  );
  const changes: ConntrackChange[] = [];
  const watch = watchConntrack({
    netns: b,
    onChange: (change) => changes.push(change),
    onOverrun: () => t.fail('no overrun in a handful of events'),
  });
  const server = createServer((socket) => socket.end('x'));
  const bind = { address: '0.0.0.0', port: 9080 };
  server.listen({ fd: openSocket({ netns: b, family: 'ipv4', bind, listen: 8 }) });
  const client = new Socket({ fd: openSocket({ netns: a, family: 'ipv4' }) });
  client.connect({ host: '10.9.0.2', port: 80 });
  await once(client.resume(), 'end');
  const port = client.localPort;
  client.destroy();
  await sleep(50);
  using table = new NetlinkSocket({ protocol: 'netfilter', netns: b });
  const tuple = {
    protocol: 6,
    original: { source: `10.9.0.1:${port}`, destination: '10.9.0.2:80' },
    reply: { source: '10.9.0.2:9080', destination: `10.9.0.1:${port}` },
    mark: 0x111,
    zone: 0,
  };
  t.match(listConntrack(table), [tuple]);
  run(b, 'conntrack', '-F');
  await sleep(50);
  t.match(
    changes.find((change) => change.event === 'new'),
    tuple,
  );
  t.ok(changes.some((change) => change.event === 'update'));
  t.match(
    changes.find((change) => change.event === 'destroy'),
    { original: tuple.original },
  );
  t.same(listConntrack(table), []);
  watch[Symbol.dispose]();
  server.close();
});

t.test('watchConntrack() reports an overrun of a tiny buffer', async (t) => {
  const netns = scratchNetns(t);
  run(netns, 'iptables', '-w', '-A', 'OUTPUT', '-m', 'conntrack', '--ctstate', 'NEW');
  let overruns = 0;
  let seen = 0;
  const watch = watchConntrack({
    netns,
    onChange: () => seen++,
    onOverrun: () => overruns++,
    receiveBytes: 2048,
  });
  const fds = Array.from({ length: 60 }, () =>
    openSocket({ netns, family: 'ipv4', type: 'dgram' }),
  );
  for (const [i, fd] of fds.entries()) {
    connectFd(fd, 'ipv4', { address: '127.0.0.1', port: 1000 + i });
    const connection = new SeqpacketConnection(fd);
    await connection.send(Buffer.from('x'));
    connection.close();
  }
  watch.drain();
  t.ok(overruns > 0 && seen < 60, `${seen} events, ${overruns} overruns`);
  watch[Symbol.dispose]();
});

t.test('lockFile() is refused while another holder lives', async (t) => {
  const path = join(scratch, 'lock');
  const lock = lockFile(path);
  t.ok(lock);
  t.equal(lockFile(path), undefined);
  lock?.[Symbol.dispose]();
  const again = lockFile(path);
  t.ok(again, 'free again');
  again?.[Symbol.dispose]();
});

t.test('reapOrphans() leaves the children of libuv alone', async (t) => {
  const child = spawn('true');
  const own = new Set([child.pid ?? 0]);
  const exited = once(child, 'exit');
  t.same(reapOrphans(own), []);
  t.same(await exited, [0, null], 'libuv still got the status');
  t.same(reapOrphans(new Set()), []);
});

t.test('reapOrphans() reaps what PID 1 of a namespace inherits', async (t) => {
  const script = `
    import { spawn } from 'node:child_process';
    import { reapOrphans } from '${new URL('../../dataplane/kernel/process.ts', import.meta.url).href}';
    const shell = spawn('sh', ['-c', 'sleep 0.1 & echo $!']);
    let orphan = '';
    shell.stdout.on('data', (text) => (orphan += text));
    setTimeout(() => {
      const reaped = reapOrphans(new Set());
      console.log(JSON.stringify({ pid: process.pid, orphan: Number(orphan), reaped }));
    }, 600);`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', script];
  const text = execFileSync('unshare', ['-p', '-f', '--mount-proc', ...node], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  const seen = JSON.parse(text) as { pid: number; orphan: number; reaped: number[] };
  t.equal(seen.pid, 1);
  t.same(seen.reaped, [seen.orphan]);
});

t.test('setDeathSignal() ends a child with its parent', async (t) => {
  const library = new URL('../../dataplane/kernel/process.ts', import.meta.url).href;
  const child = `
    import { setDeathSignal } from '${library}';
    setDeathSignal('SIGKILL');
    console.log(process.pid);
    setTimeout(() => undefined, 20_000);`;
  const argv = ['--import', 'tsx', '--input-type=module', '-e', child];
  const parent = spawn('sh', ['-c', '"$@" & wait', 'sh', process.execPath, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(text.toString());
  t.ok(existsSync(`/proc/${pid}`));
  parent.kill('SIGKILL');
  // The end of its pipe is the end of the wait: the child alone would hold it for 20 s.
  const beganMs = Date.now();
  await once(parent.stdout.resume(), 'end');
  t.ok(Date.now() - beganMs < 10_000);
  const hasEnded = () => {
    const path = `/proc/${pid}/stat`;
    return !existsSync(path) || / [ZX] /.test(readFileSync(path, 'utf8'));
  };
  for (let i = 0; i < 100 && !hasEnded(); i++) await sleep(20);
  t.ok(hasEnded());
});

t.test('a watch in a worker does not outlive it', async (t) => {
  const built = fileURLToPath(new URL('../../build/kernel.node', import.meta.url));
  const source = `
    const kernel = require(${JSON.stringify(process.env['AMBIENT_KERNEL_ADDON'] ?? built)});
    kernel.pollStart(kernel.openSocket(4, 1, -1, {}), 1, () => undefined);
    require('node:worker_threads').parentPort.postMessage('watching');`;
  const worker = new Worker(source, { eval: true, execArgv: [] });
  t.equal((await once(worker, 'message'))[0], 'watching');
  t.equal(await worker.terminate(), 1);
});

t.test('realtimeNs() is the wall clock', async (t) => {
  t.ok(Math.abs(Number(realtimeNs() / 1_000_000n) - Date.now()) < 1000);
});
