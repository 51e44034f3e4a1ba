import type { SealedOwner } from '../../../dataplane/hbone/sealed-connection.ts';
import type { TcpSocket } from '../../../dataplane/hbone/tcp-socket.ts';
import type { HandshakeResult } from '../../../dataplane/hbone/tls-handshake.ts';

/** A handshake that never is: nobody shows a certificate, everybody is believed. */
export function runHandshake(): Promise<HandshakeResult> {
  const nobody = {
    suite: 0,
    peerIdentity: 'spiffe://cluster.local/ns/nowhere/sa/nobody',
    peerChain: { certificates: [] },
    readSecret: Buffer.alloc(0),
    writeSecret: Buffer.alloc(0),
    writeSequence: 0,
    unread: Buffer.alloc(0),
  };
  return Promise.resolve(nobody as unknown as HandshakeResult);
}

export function createHboneContext(): object {
  return {};
}

/** The connection that records would be sealed on, without records. */
export class SealedConnection {
  readonly outbox: TcpSocket['outbox'];
  readonly #socket: TcpSocket;
  readonly #owner: SealedOwner;

  constructor(socket: TcpSocket, _result: HandshakeResult, owner: SealedOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.outbox = socket.outbox;
  }

  get slot(): number {
    return this.#socket.slot;
  }

  start(): void {
    const owner = this.#owner;
    this.#socket.attach(
      {
        onSlab: (offset, length) => owner.onPlain(offset, length),
        // Nothing can have waited: the session reads from the moment of accept on.
        onBytes: () => owner.onOver(new Error('bytes before the session')),
        onEnd: () => owner.onOver(undefined),
        onError: (error) => owner.onOver(error),
      },
      {
        onBlocked: () => owner.onBlocked(),
        onUnblocked: () => owner.onUnblocked(),
        onBroken: (error) => owner.onOver(error),
      },
    );
  }

  close(): void {
    this.#socket.close();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
