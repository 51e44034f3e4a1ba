/**
 * Makes the traffic that the dissector is tried on, in the network namespace it is started in:
 * `node --import tsx dissect-traffic.ts <directory> <key.pem> <cert.pem>`. Leaves `cap.pcapng`,
 * whose secrets are in `keys.log`.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { appendFileSync, createWriteStream, readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pcapngOfPcap } from '../../lab/capture/tcpdump.ts';
import { DNS_TYPE, decodeDns, encodeDns } from '../../dataplane/wire/dns.ts';

const [dir = '', keyFile = '', certFile = ''] = process.argv.slice(2);
const credentials = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
const keyLog = join(dir, 'keys.log');
const run = (line: string) => execFileSync('/bin/sh', ['-c', line], { stdio: 'pipe' });

/** HBONE as proxies speak it: CONNECT streams in mutual TLS, here to an echo. */
/** tshark gives no names of packed certificates, which OpenSSL sends from 3.2 on. */
const NO_PACKED_CERTIFICATES = 2 ** 32 + 2 ** 33;

async function hbone(ciphers: string, host: string): Promise<void> {
  const server = http2.createSecureServer({
    ...credentials,
    requestCert: true,
    rejectUnauthorized: false,
    secureOptions: NO_PACKED_CERTIFICATES,
  });
  server.on('keylog', (line: Buffer) => appendFileSync(keyLog, line));
  server.on('stream', (stream, headers) => {
    stream.respond({
      ':status': headers[':authority'] === 'denied:1' ? 401 : 200,
      'x-long': 'y'.repeat(40),
    });
    stream.pipe(stream);
  });
  server.listen(15008, host);
  await once(server, 'listening');
  const options = {
    ...credentials,
    rejectUnauthorized: false,
    ciphers,
    minVersion: 'TLSv1.3' as const,
    secureOptions: NO_PACKED_CERTIFICATES,
  };
  const client = http2.connect(`https://${host.includes(':') ? `[${host}]` : host}:15008`, options);
  for (const [authority, body] of [
    ['10.244.2.10:8080', 'canary-'.repeat(10)],
    ['[fd00::1]:8080', 'x'.repeat(20_000)],
    ['denied:1', ''],
    ['10.244.2.10:8080', 'again'],
  ] as const) {
    const stream = client.request({
      ':method': 'CONNECT',
      ':authority': authority,
      forwarded: 'for=10.244.1.10;by=10.244.2.10',
      traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
    });
    stream.end(body);
    stream.resume();
    await once(stream, 'close');
  }
  await new Promise<void>((resolve) => client.ping(() => resolve()));
  client.close();
  await once(client, 'close');
  server.close();
}

/** OpenSSL's own programs, which can be told to change keys. */
async function keyUpdates(): Promise<void> {
  const secrets = join(dir, 'openssl.log');
  const server = spawn(
    'openssl',
    [
      's_server',
      '-accept',
      '15009',
      '-key',
      keyFile,
      '-cert',
      certFile,
      '-rev',
      '-quiet',
      '-tls1_3',
    ],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  );
  await delay(300);
  const client = spawn(
    'openssl',
    ['s_client', '-connect', '127.0.0.1:15009', '-keylogfile', secrets, '-tls1_3'],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  await once(client.stdout, 'data');
  for (const line of ['before\n', 'K\n', 'between\n', 'k\n', 'after\n']) {
    await delay(100);
    client.stdin.write(line);
  }
  await delay(200);
  client.stdin.end('Q\n');
  await stopped(client);
  await stopped(server);
  appendFileSync(keyLog, readFileSync(secrets));
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

/** HTTP/1.1 in the clear: bodies by length, in chunks, none. */
async function plainHttp(): Promise<void> {
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.url === '/chunks') {
      response.write('first ');
      setTimeout(() => response.end('second'), 5);
    } else response.end(request.method === 'HEAD' ? undefined : `you asked for ${request.url}`);
  });
  server.listen(8080, '127.0.0.1');
  await once(server, 'listening');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const [method, path, body] of [
    ['GET', '/get', ''],
    ['HEAD', '/head', ''],
    ['POST', '/post', 'z'.repeat(3000)],
    ['GET', '/chunks', ''],
  ] as const) {
    const request = http.request({ port: 8080, host: '127.0.0.1', method, path, agent });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    await once(response, 'end');
  }
  agent.destroy();
  server.close();
}

/** DNS over UDP and TCP. */
async function dns(): Promise<void> {
  const answer = (message: Buffer, most?: number): Buffer => {
    const query = decodeDns(message);
    const question = query.questions[0]!;
    const address = question.type === DNS_TYPE.AAAA ? 'fd00::5' : '10.96.0.5';
    const data = { kind: 'address' as const, address };
    const count = question.name.startsWith('many') ? 60 : 1;
    const answers = Array.from({ length: count }, () => ({ ...question, ttlSeconds: 30, data }));
    return encodeDns({ ...query, isResponse: true, answers, edns: undefined }, most);
  };
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => udp.send(answer(message, 512), from.port, from.address));
  udp.bind(53, '127.0.0.1');
  await once(udp, 'listening');
  const tcp = net.createServer((socket) => {
    socket.on('data', (bytes) => {
      const reply = answer(bytes.subarray(2));
      socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]));
    });
    socket.on('error', () => {});
  });
  tcp.listen(53, '127.0.0.1');
  await once(tcp, 'listening');
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers(['127.0.0.1']);
  await resolver.resolve4('httpbin.demo.svc.cluster.local');
  await resolver.resolve6('httpbin.demo.svc.cluster.local');
  await resolver.resolve4('many.demo');
  resolver.cancel();
  udp.close();
  tcp.close();
}

/** What ping sends, by perl, which every Debian has; the kernel answers. */
function echoRequests(): void {
  const four =
    'socket(S, PF_INET, SOCK_RAW, 1); $to = sockaddr_in(0, inet_aton("127.0.0.1"));' +
    'send(S, pack("H*", "0800f7fd00010001"), 0, $to); send(S, pack("H*", "0800f7fc00010002"), 0, $to);';
  const six =
    'socket(T, PF_INET6, SOCK_RAW, 58); $to = pack_sockaddr_in6(0, inet_pton(AF_INET6, "::1"));' +
    'send(T, pack("H*", "8000000000010001"), 0, $to);';
  execFileSync('perl', ['-MSocket=:all', '-e', four + six], { stdio: 'pipe' });
}

/** ICMP, UDP, overlays, resets and refusals. */
async function others(): Promise<void> {
  echoRequests();
  const udp = createSocket('udp4');
  const send = (bytes: Buffer, port: number) =>
    new Promise<void>((resolve) => udp.send(bytes, port, '127.0.0.1', () => resolve()));
  await send(Buffer.from('datagram'), 9999);
  const inner = Buffer.from(
    '02aabbccdd0102aabbccdd020800' +
      '4500002800010000400600000af401020af40203' +
      '9c40138800000001000000005002ffff00000000',
    'hex',
  );
  const overlay = (header: string) => Buffer.concat([Buffer.from(header, 'hex'), inner]);
  await send(overlay('0000655800 03e800'.replaceAll(' ', '')), 6081);
  await send(overlay('02406558001234000102030100000000'.slice(0, 32)), 6081);
  await send(overlay('0800000000002a00'), 4789);
  udp.close();
  const server = net.createServer((socket) => socket.resetAndDestroy()).listen(7000, '127.0.0.1');
  await once(server, 'listening');
  for (const port of [7000, 7001]) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
  }
  server.close();
}

run('ip link set lo up');
const tcpdump = spawn('tcpdump', ['-i', 'lo', '-B', '16384', '--immediate-mode', '-U', '-w', '-'], {
  stdio: ['ignore', 'pipe', 'pipe'],
});
const file = createWriteStream(join(dir, 'cap.pcapng'));
const written = (async () => {
  for await (const piece of pcapngOfPcap(tcpdump.stdout, { name: 'own/lo' })) file.write(piece);
  file.end();
  await once(file, 'finish');
})();
await once(tcpdump.stderr, 'data');
for (const cipher of [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]) {
  await hbone(cipher, '127.0.0.1');
}
await hbone('TLS_AES_128_GCM_SHA256', '::1');
await keyUpdates();
await plainHttp();
await dns();
await others();
await delay(300);
tcpdump.kill('SIGINT');
await written;
process.exit(0);
