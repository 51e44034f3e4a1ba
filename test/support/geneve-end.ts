// One end of a Geneve tunnel with traffic in it, as a program: `geneve-end.ts <kind> <own> <other>
// <underlay>`. Ends are 10.9.0.<n> outside and 192.168.126.<n> inside. It serves an echo, has its own
// bytes echoed by the other end, and ends when both are done.
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureTunnel } from '../../dataplane/tunnels/ensure-tunnel.ts';
import { listTunnels } from '../../dataplane/tunnels/list-tunnels.ts';
import type { TunnelKind } from '../../dataplane/tunnels/tunnel.ts';

const ECHO_PORT = 7000;
const BYTES = 256 * 1024;

async function main([kind, own, other, underlay]: readonly string[]): Promise<void> {
  const spec = {
    ...{ name: 'istioin', vni: 1000, port: 6081, underlay: underlay! },
    remote: `10.9.0.${other}`,
    address: `192.168.126.${own}/30`,
  };
  await ensureTunnel(spec, kind as TunnelKind);
  const served = serveOnce();
  const echoed = await echoOf(`192.168.126.${other}`);
  const servedBytes = await served;
  process.stdout.write(`${JSON.stringify({ tunnels: listTunnels(), echoed, servedBytes })}\n`);
}

/** Bytes echoed on the first connection that brought any. */
function serveOnce(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      let bytes = 0;
      socket.on('data', (part) => (bytes += part.length));
      socket.on('error', () => {});
      socket.on('close', () => {
        if (bytes === 0) return;
        server.close();
        resolve(bytes);
      });
      socket.pipe(socket);
    });
    server.listen(ECHO_PORT);
  });
}

async function echoOf(host: string): Promise<{ bytes: number; isSame: boolean }> {
  for (;;) {
    try {
      const sent = randomBytes(BYTES);
      const got = await exchange(await open(host), sent);
      return { bytes: got.length, isSame: got.equals(sent) };
    } catch {
      // The other end is not there yet.
      await sleep(100);
    }
  }
}

function open(host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: ECHO_PORT });
    socket.once('connect', () => resolve(socket)).once('error', reject);
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer')));
  });
}

async function exchange(socket: Socket, bytes: Buffer): Promise<Buffer> {
  socket.setTimeout(0);
  socket.end(bytes);
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

await main(process.argv.slice(2));
