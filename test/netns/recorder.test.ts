import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { NetlinkSocket } from '../../dataplane/kernel/netlink.ts';
import { createNetns, withNetns } from '../../dataplane/kernel/netns.ts';
import { addAddress, createVeth, deleteLink, setLink } from '../../dataplane/kernel/rtnetlink.ts';
import { closeFd, connectFd, openSocket } from '../../dataplane/kernel/sockets.ts';
import { SeqpacketConnection } from '../../dataplane/kernel/seqpacket.ts';
import type { ConntrackEvent, Recording } from '../../lab/capture/layout.ts';
import { startRecorder } from '../../lab/capture/recorder-client.ts';

const run = promisify(execFile);

interface Pair {
  readonly a: number;
  readonly b: number;
  readonly netns: readonly { readonly name: string; readonly path: string }[];
  readonly dir: string;
}

/** Namespaces `a` (10.9.0.1) and `b` (10.9.0.2) joined by a veth pair, and a capture directory. */
function pair(test: Test): Pair {
  const [a, b] = [createNetns(), createNetns()];
  const dir = mkdtempSync(join(tmpdir(), 'recorder-test-'));
  test.teardown(() => {
    for (const fd of [a, b]) closeSync(fd);
    rmSync(dir, { recursive: true, force: true });
  });
  for (const netns of [a, b]) {
    using socket = new NetlinkSocket({ protocol: 'route', netns });
    if (netns === a) {
      socket.request([
        createVeth({ name: 'eth0', index: 7 }, { name: 'eth0', index: 7, netns: b }),
      ]);
    }
    const address = `10.9.0.${netns === a ? 1 : 2}/24`;
    socket.request([
      setLink('lo', { isUp: true }),
      setLink(7, { isUp: true }),
      addAddress({ address, index: 7 }),
    ]);
  }
  const path = (fd: number) => `/proc/${process.pid}/fd/${fd}`;
  const netns = [
    { name: 'a', path: path(a) },
    { name: 'b', path: path(b) },
  ];
  return { a, b, netns, dir };
}

/** Fields of the frames of one interface file, by tshark. */
async function tshark(dir: string, file: string, filter: string, ...fields: string[]) {
  const args = ['-r', join(dir, 'interfaces', file), '-Y', filter, '-T', 'fields'];
  for (const field of fields) args.push('-e', field);
  const { stdout } = await run('tshark', args, { timeout: 30_000, maxBuffer: 64 << 20 });
  return stdout.split('\n').filter((line) => line !== '');
}

/** One TCP conversation a → b:8080 that moves `bytes`, its client socket marked. */
async function converse({ a, b }: Pair, bytes: number, mark = 0): Promise<void> {
  const server = createServer((socket) => socket.end(Buffer.alloc(bytes)));
  const bind = { address: '0.0.0.0', port: 8080 };
  server.listen({
    fd: openSocket({ netns: b, family: 'ipv4', reuseAddress: true, bind, listen: 8 }),
  });
  const client = new Socket({ fd: openSocket({ netns: a, family: 'ipv4', mark }) });
  client.connect({ host: '10.9.0.2', port: 8080 });
  let got = 0;
  client.on('data', (chunk: Buffer) => (got += chunk.length));
  client.end('go');
  await once(client, 'close');
  server.close();
  if (got !== bytes) throw new Error(`moved ${got} of ${bytes} bytes`);
}

/** Datagrams from one netns to port 9 of an address in another, where a socket takes them. */
async function sendDatagrams(
  from: number,
  to: { readonly netns: number; readonly address: string },
  count: number,
) {
  const end = { address: to.address, port: 9 };
  const sink = openSocket({ netns: to.netns, family: 'ipv4', type: 'dgram', bind: end });
  const fd = openSocket({ netns: from, family: 'ipv4', type: 'dgram' });
  connectFd(fd, 'ipv4', end);
  const connection = new SeqpacketConnection(fd);
  for (let i = 0; i < count; i++) await connection.send(Buffer.alloc(64, i));
  connection.close();
  closeFd(sink);
}

/** Packet and netlink sockets that anybody has in a namespace. */
function watchers(netns: number): number {
  const files = ['/proc/net/packet', '/proc/net/netlink'];
  const text = withNetns(netns, () => execFileSync('cat', files, { encoding: 'utf8' }));
  // The kernel's own netlink sockets have port 0.
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/));
  return rows.filter((row) => row.length >= 9 && row[0] !== 'sk' && row[2] !== '0').length;
}

function interfaceOf(recording: Recording, netns: string, name: string) {
  const found = recording.interfaces.find((one) => one.netns === netns && one.name === name);
  if (!found) throw new Error(`no interface ${netns}/${name} was recorded`);
  return found;
}

t.test('startRecorder() records what tcpdump sees, with direction, marks and names', async (t) => {
  const lab = pair(t);
  const theirs = join(lab.dir, 'tcpdump.pcap');
  const tcpdump = withNetns(lab.b, () =>
    spawn('tcpdump', [
      '-i',
      'eth0',
      '-w',
      theirs,
      '-U',
      '-s',
      '0',
      '-Z',
      'root',
      '--immediate-mode',
    ]),
  );
  await once(tcpdump.stderr, 'data');
  const recorder = await startRecorder({ netns: lab.netns, dir: lab.dir });
  await converse(lab, 300_000, 0x539);
  await sendDatagrams(lab.a, { netns: lab.a, address: '127.0.0.1' }, 5);
  await sleep(50);
  const recording = await recorder.stop();
  tcpdump.kill('SIGINT');
  await once(tcpdump, 'exit');

  t.equal(recorder.process.exitCode, 0);
  t.same(JSON.parse(readFileSync(join(lab.dir, 'recording.json'), 'utf8')), recording);
  t.same(
    recording.interfaces.map(({ netns, name }) => `${netns}/${name}`),
    ['a/eth0', 'a/lo', 'b/eth0', 'b/lo'],
  );
  t.ok(recording.interfaces.every((one) => one.kernelDrops === 0));
  t.ok(BigInt(recording.stoppedNs) > BigInt(recording.startedNs));

  const count = async (...args: string[]) =>
    (await run('tshark', [...args, '-T', 'fields', '-e', 'frame.number'])).stdout.split('\n')
      .length - 1;
  const { file, frames, mac } = interfaceOf(recording, 'b', 'eth0');
  t.match(mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  const ours = join(lab.dir, 'interfaces', file);
  t.equal(await count('-r', ours), frames, 'tshark reads every frame that was counted');
  t.ok(frames > 10);
  const tcp = await count('-r', ours, '-Y', 'tcp');
  t.equal(tcp, await count('-r', theirs, '-Y', 'tcp'), 'as many segments as tcpdump');
  const lengths = async (path: string) =>
    (
      await run('tshark', [
        '-r',
        path,
        '-Y',
        'tcp',
        '-T',
        'fields',
        '-e',
        'frame.len',
        '-e',
        'tcp.seq',
      ])
    ).stdout;
  t.equal(await lengths(ours), await lengths(theirs), 'with the same lengths in the same order');

  const names = await tshark(lab.dir, file, 'tcp', 'frame.interface_name');
  t.same([...new Set(names)], ['b/eth0']);
  const sent = interfaceOf(recording, 'a', 'eth0').file;
  const flags = ['frame.packet_flags_direction', 'frame.comment'];
  const marked = await tshark(lab.dir, sent, 'tcp && ip.src==10.9.0.1', ...flags);
  if (recording.hasMarks) {
    const all = marked.filter((line) => line === '0x00000002\tmark 0x539').length;
    t.ok(all >= marked.length - 2 && all > 3, `${all} of ${marked.length} sent frames are marked`);
  }
  const arrived = await tshark(lab.dir, file, 'tcp && ip.src==10.9.0.1', ...flags);
  t.ok(arrived.length > 3 && arrived.every((line) => line === '0x00000001\t'), 'no mark elsewhere');

  const lo = await tshark(lab.dir, interfaceOf(recording, 'a', 'lo').file, 'udp', 'udp.length');
  t.equal(lo.length, 5, 'loopback shows each datagram once');
});

t.test('startRecorder() writes conntrack events of every namespace', async (t) => {
  const lab = pair(t);
  withNetns(lab.b, () => {
    execFileSync('iptables', ['-w', '-A', 'INPUT', '-m', 'conntrack', '--ctstate', 'NEW']);
  });
  const recorder = await startRecorder({ netns: lab.netns, dir: lab.dir });
  await converse(lab, 10);
  const progress = await recorder.flush();
  t.ok(progress.conntrackEvents > 0 && progress.frames > 0);
  const recording = await recorder.stop();
  t.equal(recording.conntrackOverruns, 0);
  const lines = readFileSync(join(lab.dir, 'conntrack.jsonl'), 'utf8').trim().split('\n');
  const events = lines.map((line) => JSON.parse(line) as ConntrackEvent);
  t.equal(events.length >= progress.conntrackEvents, true);
  t.match(events[0], { netns: 'b', event: 'new', protocol: 6 });
  t.match(events[0]?.original.source, /^10\.9\.0\.1:\d+$/);
  t.equal(events[0]?.original.destination, '10.9.0.2:8080');
  t.ok(BigInt(events[0]?.timeNs ?? 0) > BigInt(recording.startedNs));
});

t.test('a recorder with a tiny buffer says how many frames it lost', async (t) => {
  const lab = pair(t);
  const recorder = await startRecorder({ netns: lab.netns, dir: lab.dir, bufferBytes: 4096 });
  await converse(lab, 5_000_000);
  const recording = await recorder.stop();
  const { frames, kernelDrops, file } = interfaceOf(recording, 'b', 'eth0');
  t.ok(kernelDrops > 0, `${frames} frames kept, ${kernelDrops} lost`);
  const { stdout } = await run('capinfos', ['-c', '-M', join(lab.dir, 'interfaces', file)]);
  t.match(stdout, new RegExp(`Number of packets: *${frames}\\b`));
});

t.test('the same transfer with the usual buffer loses nothing', async (t) => {
  const lab = pair(t);
  const recorder = await startRecorder({ netns: lab.netns, dir: lab.dir });
  await converse(lab, 5_000_000);
  const recording = await recorder.stop();
  const { frames, kernelDrops, file } = interfaceOf(recording, 'b', 'eth0');
  t.equal(kernelDrops, 0);
  const { stdout } = await run('capinfos', ['-c', '-M', join(lab.dir, 'interfaces', file)]);
  t.match(stdout, new RegExp(`Number of packets: *${frames}\\b`));
  const bytes = await tshark(lab.dir, file, 'tcp.srcport==8080', 'tcp.len');
  const total = bytes.reduce((sum, length) => sum + Number(length), 0);
  t.ok(total >= 5_000_000, `${total} bytes of payload are in the capture`);
});

t.test('a snap length cuts frames and keeps their true length', async (t) => {
  const lab = pair(t);
  const recorder = await startRecorder({ netns: lab.netns, dir: lab.dir, snapLength: 96 });
  await converse(lab, 200_000);
  const recording = await recorder.stop();
  const { file, kernelDrops } = interfaceOf(recording, 'b', 'eth0');
  t.equal(kernelDrops, 0);
  const rows = await tshark(lab.dir, file, 'tcp', 'frame.cap_len', 'frame.len');
  const lengths = rows.map((row) => row.split('\t').map(Number));
  t.ok(lengths.every(([captured = 0, length = 0]) => captured === Math.min(length, 96)));
  t.ok(
    lengths.some(([, length = 0]) => length > 1000),
    'long frames were there',
  );
  t.ok(statSync(join(lab.dir, 'interfaces', file)).size < 100_000);
});

t.test(
  'interfaces and namespaces that come and go are recorded while they are there',
  async (t) => {
    const lab = pair(t);
    const [first, second] = lab.netns;
    const recorder = await startRecorder({ netns: first ? [first] : [], dir: lab.dir });
    await recorder.addNetns(second ? [second] : []);
    using socket = new NetlinkSocket({ protocol: 'route', netns: lab.a });
    socket.request([
      createVeth({ name: 'late', index: 40 }, { name: 'eth1', index: 40, netns: lab.b }),
    ]);
    using peer = new NetlinkSocket({ protocol: 'route', netns: lab.b });
    socket.request([
      addAddress({ address: '10.8.0.1/24', index: 40 }),
      setLink(40, { isUp: true }),
    ]);
    peer.request([addAddress({ address: '10.8.0.2/24', index: 40 }), setLink(40, { isUp: true })]);
    await recorder.rescan();
    await sendDatagrams(lab.a, { netns: lab.b, address: '10.8.0.2' }, 20);
    await recorder.flush();
    const live = await tshark(lab.dir, 'b--eth1.pcapng', 'udp.dstport==9', 'udp.length');
    t.equal(live.length, 20, 'a flushed file is readable while recording goes on');
    socket.request([deleteLink(40)]);
    await sleep(50);
    await sendDatagrams(lab.a, { netns: lab.b, address: '10.9.0.2' }, 20);
    await recorder.removeNetns(['b']);
    t.ok(watchers(lab.a) > 2, 'the recorder watches a namespace that it records');
    t.equal(watchers(lab.b), 1, 'only the test itself holds one that was removed');
    const recording = await recorder.stop();
    t.ok(recording.interfaces.every((one) => one.kernelDrops === 0));
    t.ok(interfaceOf(recording, 'a', 'late').frames >= 20);
    t.ok(interfaceOf(recording, 'b', 'eth1').frames >= 20);
    t.ok(interfaceOf(recording, 'b', 'eth0').frames >= 20);
    for (const { file } of recording.interfaces) {
      await run('capinfos', [join(lab.dir, 'interfaces', file)]);
    }
  },
);

t.test(
  'startRecorder() refuses a namespace that is not there, and says when it has ended',
  async (t) => {
    const lab = pair(t);
    await t.rejects(
      startRecorder({ netns: [{ name: 'x', path: '/nowhere/netns' }], dir: lab.dir }),
      { code: 'LAB_RECORDER_REFUSED', reason: 'ENOENT' },
    );
    const recorder = await startRecorder({ netns: lab.netns, dir: lab.dir });
    recorder.process.kill('SIGKILL');
    await t.rejects(recorder.flush(), { code: 'LAB_RECORDER_ENDED', message: /SIGKILL/ });
  },
);

t.test('RecorderClient disposal finishes the files', async (t) => {
  const lab = pair(t);
  {
    await using recorder = await startRecorder({ netns: lab.netns, dir: lab.dir });
    await sendDatagrams(lab.a, { netns: lab.b, address: '10.9.0.2' }, 3);
    t.ok(recorder.process.pid);
  }
  t.ok(existsSync(join(lab.dir, 'recording.json')));
  const seen = await tshark(lab.dir, 'b--eth0.pcapng', 'udp.dstport==9', 'udp.length');
  t.equal(seen.length, 3);
});
