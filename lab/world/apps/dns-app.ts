import type { Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { answerDns } from './dns-answer.ts';
import type { Zone } from './dns-zone.ts';

/** Idle connections are closed after this (RFC 7766 §6.2.3 leaves it to the server). */
const TCP_IDLE_MS = 10_000;

/** Answers every query that comes in over a UDP socket that is already bound. */
export function serveDnsOverUdp(socket: UdpSocket, zone: Zone): void {
  socket.on('error', () => {});
  socket.on('message', (query, from) => {
    const answer = answerSafely(zone, query, 'udp');
    if (answer) socket.send(answer, from.port, from.address, () => {});
  });
}

/** DNS over TCP: each message after its length in two bytes (RFC 1035 §4.2.2). Does not listen yet. */
export function createDnsOverTcp(zone: Zone): Server {
  return createServer({ noDelay: true }, (socket) => {
    let pending: Buffer = Buffer.alloc(0);
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      pending = answerWhole(zone, socket, Buffer.concat([pending, chunk]));
    });
  });
}

/** Answers the whole messages in front; what is left is less than one. */
function answerWhole(zone: Zone, socket: Socket, bytes: Buffer): Buffer {
  let rest = bytes;
  while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
    const end = 2 + rest.readUInt16BE(0);
    const answer = answerSafely(zone, rest.subarray(2, end), 'tcp');
    rest = rest.subarray(end);
    if (!answer) continue;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(answer.length);
    socket.write(Buffer.concat([length, answer]));
  }
  return rest;
}

function answerSafely(zone: Zone, query: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined {
  try {
    return answerDns(zone, query, transport);
  } catch {
    return undefined;
  }
}
