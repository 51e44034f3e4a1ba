import { ByteStream, PlainStream } from './byte-stream.ts';
import { bestSighting, type Sightings } from './group-conversations.ts';
import { beginsHttp1, readHttp1 } from './http1-messages.ts';
import type { Connection, Conversation, DissectFault, Endpoint, Http1Message } from './types.ts';

const HEAD_BYTES = 17;

/** What both sides of a conversation in the clear said, made when asked for. */
export class ClearStreams {
  readonly #sightings: Sightings;
  #client: PlainStream | undefined;
  #server: PlainStream | undefined;

  constructor(sightings: Sightings) {
    this.#sightings = sightings;
  }

  get client(): PlainStream {
    this.#client ??= this.#read(bestSighting(this.#sightings, fromClient).fromClient);
    return this.#client;
  }

  get server(): PlainStream {
    this.#server ??= this.#read(bestSighting(this.#sightings, fromServer).fromServer);
    return this.#server;
  }

  /** Without the beginning nothing that follows can be told from what it is not. */
  #read(half: Connection['fromClient']): PlainStream {
    const isWhole = this.#sightings.some(({ hasHandshake }) => hasHandshake);
    return isWhole ? PlainStream.ofTcp(new ByteStream(half), 0) : new PlainStream();
  }
}

/** A conversation without TLS and HTTP/2, as most are: what it holds is made when asked for. */
export class ClearConversation implements Conversation {
  readonly index: number;
  readonly sightings: Sightings;
  readonly faults: readonly DissectFault[] = NO_FAULTS;
  readonly #plain: ClearStreams;
  #http1: readonly Http1Message[] | undefined;

  constructor(sightings: Sightings, index: number, plain: ClearStreams) {
    this.sightings = sightings;
    this.index = index;
    this.#plain = plain;
  }

  get best(): Connection {
    return this.sightings.length === 1
      ? this.sightings[0]
      : bestSighting(this.sightings, fromClient);
  }

  get client(): Endpoint {
    return this.best.client;
  }

  get server(): Endpoint {
    return this.best.server;
  }

  get tls(): undefined {
    return undefined;
  }

  get http2(): undefined {
    return undefined;
  }

  get http1(): readonly Http1Message[] | undefined {
    const { client, server } = this.#plain;
    if (!this.#http1 && beginsHttp1(client.head(HEAD_BYTES))) {
      this.#http1 = readHttp1(client, server);
    }
    return this.#http1;
  }
}

const NO_FAULTS: readonly DissectFault[] = Object.freeze([]);

const fromClient = (connection: Connection) => connection.fromClient;
const fromServer = (connection: Connection) => connection.fromServer;
