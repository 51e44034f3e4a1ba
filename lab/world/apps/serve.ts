import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import type { Server } from 'node:net';
import { openSocket } from '../../../dataplane/kernel/sockets.ts';
import type { AppPlan } from '../../plan/plan.ts';
import { createDnsOverTcp, serveDnsOverUdp } from './dns-app.ts';
import type { Zone } from './dns-zone.ts';
import { createTcpEcho, serveUdpEcho } from './echo-apps.ts';
import { createHttpApp } from './http-app.ts';
import type { AppContext, RunningApp } from './context.ts';

const BACKLOG = 1024;

export interface ServeOptions {
  /** Descriptor of the pod's netns; only needed during the call. */
  readonly netns: number;
  readonly listenOn: '0.0.0.0' | '::';
  readonly zone: () => Zone;
}

/**
 * Starts a built-in app with its sockets in the pod's netns; it accepts connections when this
 * resolves. A `command` is none of ours and gives nothing.
 *
 * @throws {KernelError} EADDRINUSE when two apps of a pod want one port.
 */
export async function serveApp(
  app: AppPlan,
  context: AppContext,
  options: ServeOptions,
): Promise<RunningApp[]> {
  switch (app.kind) {
    case 'http':
      return [await listen(createHttpApp(context), app.port, options)];
    case 'tcp-echo':
      return [await listen(createTcpEcho(context), app.port, options)];
    case 'udp-echo': {
      const socket = await bindUdp(app.port, options);
      serveUdpEcho(socket, context);
      return [socket];
    }
    case 'dns': {
      const zone = options.zone();
      const socket = await bindUdp(app.port, options);
      serveDnsOverUdp(socket, zone);
      return [socket, await listen(createDnsOverTcp(zone), app.port, options)];
    }
    case 'command':
      return [];
  }
}

/** The socket listens already when Node gets it: a connection may come before Node's own listen. */
function listen(
  server: Server,
  port: number,
  { netns, listenOn }: ServeOptions,
): Promise<RunningApp> {
  const bind = { address: listenOn, port };
  const family = listenOn === '::' ? 'ipv6' : 'ipv4';
  const fd = openSocket({ netns, family, reuseAddress: true, bind, listen: BACKLOG });
  const connections = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd, backlog: BACKLOG }, () => {
      resolve({
        close: () => {
          server.close();
          for (const socket of connections) socket.destroy();
        },
      });
    });
  });
}

function bindUdp(port: number, { netns, listenOn }: ServeOptions): Promise<UdpSocket> {
  const bind = { address: listenOn, port };
  const isIpv6 = listenOn === '::';
  const fd = openSocket({ netns, family: isIpv6 ? 'ipv6' : 'ipv4', type: 'dgram', bind });
  const socket = createSocket(isIpv6 ? 'udp6' : 'udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ fd }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
