/**
 * The measured application: answers HTTP/1.1 requests with 128 bytes on one port, swallows bytes on
 * another. It runs on the data path's own engine only because that costs the least.
 * Arguments: HTTP port, sink port. Says `ready` when it listens.
 */
import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import { openSocket } from '../../../dataplane/kernel/sockets.ts';

const REQUEST_END = Buffer.from('\r\n\r\n');
const CLOSE = Buffer.from('Connection: close');
const BODY = 'x'.repeat(128);
const RESPONSE = response('');
const LAST_RESPONSE = response('Connection: close\r\n');

function response(header: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${header}Content-Length: ${BODY.length}\r\n\r\n`;
  return Buffer.from(head + BODY);
}

const path = createDataPath();

function listenOn(port: number): number {
  const bind = { address: '0.0.0.0', port };
  return openSocket({ family: 'ipv4', reuseAddress: true, bind, listen: 4096 });
}

path.listen(listenOn(Number(process.argv[2])), (connection) => {
  connection.receive({
    onBytes(bytes) {
      // Requests are smaller than a segment and never pipelined, so none arrives in two reads.
      const answer = bytes.includes(CLOSE) ? LAST_RESPONSE : RESPONSE;
      for (let at = 0; (at = bytes.indexOf(REQUEST_END, at)) >= 0; at += REQUEST_END.length) {
        connection.write(answer);
      }
    },
    onEnd: () => connection.close(),
    onError: () => connection.close(),
  });
});

path.listen(listenOn(Number(process.argv[3])), (connection) => {
  let bytes = 0;
  connection.receive({
    onBytes: (part) => (bytes += part.length),
    onEnd() {
      connection.write(Buffer.from(String(bytes)));
      connection.close();
    },
    onError: () => connection.close(),
  });
});

process.stdout.write('ready\n');
