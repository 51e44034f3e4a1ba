import { Socket } from 'node:net';
import { request } from '../../dataplane/kernel/http.ts';
import { openSocket } from '../../dataplane/kernel/sockets.ts';

const TIMEOUT_MS = 2_000;
const MAX_BODY_BYTES = 64 * 1024 * 1024;

export interface NetnsAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * One HTTP GET over a socket born in another netns, e.g. to the admin port of a ztunnel that
 * listens on its own loopback only.
 *
 * @throws Node's own errors of connecting (ECONNREFUSED while nobody listens yet)
 */
export function getInNetns(
  netns: number,
  address: string,
  port: number,
  path: string,
): Promise<NetnsAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      path,
      headers: { host: `${address}:${port}`, connection: 'close' },
      createConnection: () => connectInNetns(netns, address, port),
      timeout: TIMEOUT_MS,
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('error', reject);
      response.on('data', (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        if (bytes > MAX_BODY_BYTES)
          response.destroy(new Error(`more than ${MAX_BODY_BYTES} bytes`));
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
      );
    });
    outgoing.end();
  });
}

/** Connected in the tick it is made: a later one would read from a socket without a peer. */
function connectInNetns(netns: number, address: string, port: number): Socket {
  const fd = openSocket({ netns, family: 'ipv4' });
  return new Socket({ fd }).connect({ host: address, port });
}
