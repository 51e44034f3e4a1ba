import type { Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { findCanary } from '../canary.ts';
import { formatPeer, type AppContext } from './context.ts';

/** Only the beginning of a connection is searched for a canary. */
const CANARY_WINDOW_BYTES = 4096;

/** A first line of this makes the TCP echo answer with a RST. */
export const RESET_ORDER = 'RESET\n';

/**
 * Sends back what it gets, until the client's FIN, then its own: whatever was on its way when the
 * client half-closed still arrives. The server does not listen yet.
 */
export function createTcpEcho(context: AppContext): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    noteFirstBytes(socket, context);
    socket.pipe(socket);
  });
}

function noteFirstBytes(socket: Socket, context: AppContext): void {
  const peer = formatPeer(socket.remoteAddress, socket.remotePort);
  const local = formatPeer(socket.localAddress, socket.localPort);
  let seen = '';
  const note = (canary?: string): void => {
    socket.off('data', onData).off('close', onClose);
    context.observe({ app: 'tcp-echo', peer, local, canary });
  };
  const onClose = (): void => note();
  const onData = (bytes: Buffer): void => {
    const isFirst = seen === '';
    seen += bytes.toString('latin1');
    const canary = findCanary(seen);
    if (isFirst && seen.startsWith(RESET_ORDER)) socket.resetAndDestroy();
    if (canary !== undefined || seen.length >= CANARY_WINDOW_BYTES) note(canary);
  };
  socket.on('data', onData).on('close', onClose);
}

/** Sends every datagram back to where it came from, over a socket that is already bound. */
export function serveUdpEcho(socket: UdpSocket, context: AppContext): void {
  socket.on('error', () => {});
  socket.on('message', (message, from) => {
    const peer = formatPeer(from.address, from.port);
    const local = formatPeer(socket.address().address, context.port);
    context.observe({ app: 'udp-echo', peer, local, canary: findCanary(message) });
    socket.send(message, from.port, from.address, () => {});
  });
}
