import t from 'tap';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { columnText, COLUMNS } from '../../lab/facts/dissect/columns.ts';
import { dissect, type Dissection } from '../../lab/facts/dissect/dissect.ts';

const exec = promisify(execFile);
const dir = mkdtempSync(join(tmpdir(), 'dissect-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

const SPIFFE_ID = 'spiffe://cluster.local/ns/demo/sa/sleep';
const ICMP_ERROR = 3;

/** Fields of each frame as tshark prints them, by frame number. */
async function tshark(file: string, filter: string, ...fields: string[]): Promise<string[][]> {
  const decodeAs = ['-d', 'tcp.port==15008,tls', '-d', 'tcp.port==15009,tls'];
  const format = [
    '-T',
    'fields',
    '-E',
    'occurrence=a',
    ...fields.flatMap((field) => ['-e', field]),
  ];
  const args = ['-r', file, ...decodeAs, '-Y', filter, ...format];
  const { stdout } = await exec('tshark', args, { maxBuffer: 1 << 28 });
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('\t'));
}

const file = join(dir, 'own.pcapng');
let capture: Dissection;

t.before(async () => {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const names = ['-subj', '/CN=test', '-addext', `subjectAltName=URI:${SPIFFE_ID}`];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...names], {
    stdio: 'pipe',
  });
  const traffic = join(import.meta.dirname, 'dissect-traffic.ts');
  await exec('unshare', ['-n', process.execPath, '--import', 'tsx', traffic, dir, key, cert], {
    timeout: 60_000,
  });
  const keys = join(dir, 'keys.log');
  await exec('editcap', ['--inject-secrets', `tls,${keys}`, join(dir, 'cap.pcapng'), file]);
  capture = dissect([readFileSync(file)]);
});

t.test('columnText() gives what tshark gives for real traffic', async (t) => {
  const theirs = await tshark(file, 'frame', ...COLUMNS, 'icmp.type');
  const ours = columnText(capture, capture.interfaces[0]!)
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('\t'));
  t.ok(theirs.length > 150, `${theirs.length} frames`);
  t.equal(ours.length, theirs.length);
  for (const [i, fields] of theirs.entries()) {
    // Of an ICMP error tshark also shows the packet that it quotes.
    if (fields.pop() === String(ICMP_ERROR)) continue;
    t.strictSame(ours[i], fields);
  }
  const column = (name: (typeof COLUMNS)[number]) =>
    ours.filter((fields) => fields[COLUMNS.indexOf(name)] !== '').length;
  t.ok(column('http2.headers.method') >= 16, 'control: there were CONNECTs to compare');
  t.ok(column('tls.record.content_type') > 50, 'control: there were decrypted records');
  t.ok(column('ipv6.src') > 10, 'control: there was IPv6');
});

t.test('dissect() reads cipher suites, identities and streams of each session', async (t) => {
  const sessions = capture.conversations.filter(({ server }) => server.port === 15008);
  t.same(
    sessions.map(({ tls }) => tls?.cipherSuite),
    [
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
      'TLS_AES_128_GCM_SHA256',
    ],
  );
  for (const { tls, http2, faults } of sessions) {
    t.same(faults, []);
    t.equal(tls?.alpn, 'h2');
    t.equal(tls?.isClientCertificateRequested, true);
    for (const side of ['client', 'server'] as const) {
      t.equal(tls?.[side].secrets.kind, 'decrypted');
      t.same(tls?.[side].certificates[0]?.spiffeIds, [SPIFFE_ID]);
    }
    t.same(
      http2?.streams.map(({ method, authority, status }) => [method, authority, status]),
      [
        ['CONNECT', '10.244.2.10:8080', 200],
        ['CONNECT', '[fd00::1]:8080', 200],
        ['CONNECT', 'denied:1', 401],
        ['CONNECT', '10.244.2.10:8080', 200],
      ],
    );
    t.same(
      http2?.streams.map(({ client, server }) => [client.dataBytes, server.dataBytes]),
      [
        [70, 70],
        [20_000, 20_000],
        [0, 0],
        [5, 5],
      ],
    );
  }
  const updated = capture.conversations.find(({ server }) => server.port === 15009)?.tls;
  t.equal(updated?.client.keyUpdates, 2);
  t.equal(updated?.client.secrets.kind, 'decrypted');
});

t.test('dissect() gives the certificates in the frames where tshark sees them', async (t) => {
  const theirs = await tshark(file, 'x509ce.uniformResourceIdentifier', 'frame.number');
  const seen = capture.conversations.flatMap(({ tls, best }) =>
    (['client', 'server'] as const).flatMap((side) => {
      const half = side === 'client' ? best.fromClient : best.fromServer;
      return tls?.[side].certificates.map(({ at }) => half.segments.framesOf(at).at(-1)) ?? [];
    }),
  );
  t.ok(theirs.length >= 8);
  t.same(new Set(seen.map(String)), new Set(theirs.map(([number]) => number)));
});

t.test('dissect() reads HTTP/1 and DNS as tshark does', async (t) => {
  const [own] = capture.interfaces;
  const http = await tshark(
    file,
    'http',
    'frame.number',
    'http.request.method',
    'http.response.code',
  );
  const messages = capture.conversations
    .flatMap(({ http1 = [], best }) =>
      http1.map((message) => {
        const half = message.side === 'client' ? best.fromClient : best.fromServer;
        const frame = half.segments.frameAt(message.start);
        return { frame, text: `${message.method ?? ''} ${message.status ?? ''}` };
      }),
    )
    .sort((a, b) => a.frame! - b.frame!);
  t.ok(messages.length >= 8);
  // tshark puts a message at the frame that ends its body, we at the one that begins its head.
  t.same(
    messages.map(({ text }) => text),
    http.map(([, method = '', status = '']) => `${method} ${status}`),
  );
  const fields = ['frame.number', 'dns.id', 'dns.qry.name', 'dns.qry.type', 'dns.flags.response'];
  // Older ones of tshark write a boolean as a number, newer ones as a word.
  const dns = (await tshark(file, 'dns', ...fields)).map((row) =>
    row.map((field) => (field === 'True' ? '1' : field === 'False' ? '0' : field)),
  );
  const exchanges = own!.dns.flatMap(({ queryFrame, responseFrame, id, name, type }) => {
    const what = [`0x${id.toString(16).padStart(4, '0')}`, name, String(type)];
    return [
      [String(queryFrame), ...what, '0'],
      [String(responseFrame), ...what, '1'],
    ];
  });
  const byFrame = (a: string[], b: string[]) => Number(a[0]) - Number(b[0]);
  t.ok(exchanges.length >= 6);
  t.same(exchanges.sort(byFrame), dns.sort(byFrame));
  t.ok(
    own!.dns.some(({ transport }) => transport === 'tcp'),
    'the long answer came over TCP',
  );
  t.same(own!.dns[0]?.addresses, ['10.96.0.5']);
});

t.test('dissect() sees datagrams, ICMP and overlays as tshark does', async (t) => {
  const [own] = capture.interfaces;
  const icmp = await tshark(
    file,
    'icmp || icmpv6',
    'frame.number',
    'icmp.type',
    'icmpv6.type',
    'udp.port',
  );
  const bare = icmp.filter(([, , , ports]) => ports === '');
  const known = new Map(own!.icmp.map(({ frame, type }) => [String(frame), String(type)]));
  t.ok(bare.length >= 6);
  for (const [frame = '', four, six] of bare) t.equal(known.get(frame), four || six);

  const overlays = await tshark(
    file,
    '(vxlan || geneve) && !(icmp.type == 3)',
    'frame.number',
    'vxlan.vni',
    'geneve.vni',
  );
  t.equal(overlays.length, 3);
  for (const [number, vxlan, geneve] of overlays) {
    const layers = own!.frames.at(Number(number))!.layers;
    const overlay = layers.find(({ kind }) => kind === 'vxlan' || kind === 'geneve');
    t.equal(overlay && 'vni' in overlay && overlay.vni, Number(vxlan || geneve));
  }
  const wrapped = capture.conversations.flatMap(({ best }) => best.encapsulation);
  t.match(wrapped, [{ kind: 'geneve', vni: 0x3e8 }]);
});

t.test('dissect() tells resets and refusals', async (t) => {
  const to = (port: number) => capture.conversations.find(({ best }) => best.server.port === port)!;
  t.equal(to(7000).best.fromServer.rstFrames.length, 1);
  t.equal(to(7000).best.hasHandshake, true);
  t.equal(to(7001).best.fromServer.rstFrames.length, 1);
  t.equal(to(7001).best.hasHandshake, false);
  const resets = await tshark(file, 'tcp.flags.reset == 1', 'frame.number');
  const ours = capture.conversations.flatMap(({ best }) => [
    ...best.fromClient.rstFrames,
    ...best.fromServer.rstFrames,
  ]);
  t.same(ours.sort((a, b) => a - b).map(String), resets.flat());
});

t.test('tshark opens what encodePacket() and encodePcapngHead() write', async (t) => {
  const { encodePacket, encodePcapngHead } = await import('../../lab/capture/pcapng-write.ts');
  const { frames } = capture.interfaces[0]!;
  const copy = join(dir, 'copy.pcapng');
  const blocks = [
    encodePcapngHead({
      application: 'ambient-lab',
      comment: 'a copy',
      keyLog: readFileSync(join(dir, 'keys.log'), 'utf8'),
      names: [['127.0.0.1', 'sleep.demo']],
      interfaces: [{ name: 'node1/eth0', mac: '02:00:00:00:00:01', description: 'uplink' }],
    }),
  ];
  for (let row = 0; row < frames.count; row++) {
    const timeNs = frames.timeNs(row) + 7n;
    const packet = { interfaceId: 0, timeNs, data: frames.bytes(row) };
    blocks.push(encodePacket({ ...packet, direction: 'out', mark: 0x539 }));
  }
  writeFileSync(copy, Buffer.concat(blocks));
  const fields = [
    'frame.interface_name',
    'frame.comment',
    'frame.packet_flags_direction',
    'http2.type',
  ];
  const theirs = await tshark(copy, 'http2', ...fields);
  t.ok(theirs.length > 20, 'decrypted without any setting');
  for (const [name, comment, direction] of theirs) {
    t.same([name, comment, direction], ['node1/eth0', 'mark 0x539', '0x00000002']);
  }
  const [first] = await tshark(copy, 'frame.number == 1', 'frame.time_epoch', 'ip.src_host');
  t.equal(first![0]!.slice(-3), '007', 'nanoseconds');
  const again = dissect([readFileSync(copy)]);
  t.equal(again.interfaces[0]!.name, 'node1/eth0');
  t.same(again.interfaces[0]!.frames.at(1), {
    ...capture.interfaces[0]!.frames.at(1)!,
    timeNs: capture.interfaces[0]!.frames.at(1)!.timeNs + 7n,
    direction: 'out',
    mark: 0x539,
  });
});
