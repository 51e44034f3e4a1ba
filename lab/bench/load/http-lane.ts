import type { DataPath, TcpConnection } from '../../../dataplane/hbone/api.ts';
import { openSocket } from '../../../dataplane/kernel/sockets.ts';
import type { LoadOrder } from './load-order.ts';
import { ResponseReader } from './response-reader.ts';

/** What `GET /` of the measured app is. */
export const REQUEST = Buffer.from(
  'GET / HTTP/1.1\r\nHost: server.bench\r\nUser-Agent: ambient-lab\r\n\r\n',
);

/** Told of each answer, and of the end of a connection that was wanted longer. */
export interface LaneOwner {
  onAnswer(lane: HttpLane): void;
  onBroken(lane: HttpLane, cause: Error): void;
}

/** One keep-alive connection that carries one request at a time. */
export class HttpLane {
  readonly #connection: TcpConnection;
  readonly #reader = new ResponseReader();
  isBroken = false;

  private constructor(connection: TcpConnection) {
    this.#connection = connection;
  }

  static async open(
    path: DataPath,
    { host, port }: Pick<LoadOrder, 'host' | 'port'>,
    owner: LaneOwner,
  ): Promise<HttpLane> {
    const connection = await path.connect(openSocket({ family: 'ipv4' }), { ip: host, port });
    const lane = new HttpLane(connection);
    connection.receive({
      onBytes: (bytes) => lane.#take(bytes, owner),
      onEnd: () => lane.#break(owner, new Error('the peer has closed')),
      onError: (error) => lane.#break(owner, error),
    });
    return lane;
  }

  ask(): void {
    this.#connection.write(REQUEST);
  }

  close(): void {
    this.isBroken = true;
    this.#connection.close();
  }

  #take(bytes: Buffer, owner: LaneOwner): void {
    let answers = 0;
    try {
      answers = this.#reader.push(bytes);
    } catch (error) {
      this.#break(owner, error as Error);
    }
    for (let i = 0; i < answers; i++) owner.onAnswer(this);
  }

  #break(owner: LaneOwner, cause: Error): void {
    if (this.isBroken) return;
    this.close();
    owner.onBroken(this, cause);
  }
}
