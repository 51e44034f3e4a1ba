/**
 * The measured application: answers HTTP/1.1 requests on one port with a body of given length,
 * swallows bytes on another. It runs on the data path's own engine only because that costs the
 * least. Arguments: HTTP port, sink port, bytes of a body. Says `ready` when it listens.
 */
import { createDataPath } from '../../../dataplane/hbone/data-path.ts';
import { openSocket } from '../../../dataplane/kernel/sockets.ts';

const REQUEST_END = Buffer.from('\r\n\r\n');
const [httpPort, sinkPort, bodyBytes] = process.argv.slice(2).map(Number);
const RESPONSE = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${bodyBytes}\r\n\r\n` +
    'x'.repeat(bodyBytes ?? 0),
);
const path = createDataPath();

function listenOn(port = 0): number {
  const bind = { address: '0.0.0.0', port };
  return openSocket({ family: 'ipv4', reuseAddress: true, bind, listen: 4096 });
}

/** How far the end of a request has come that did not end in its read: 0 to 3 bytes of it. */
function endedPart(bytes: Buffer): Buffer | undefined {
  if (bytes.subarray(-REQUEST_END.length).equals(REQUEST_END)) return undefined;
  return Buffer.from(bytes.subarray(1 - REQUEST_END.length));
}

path.listen(listenOn(httpPort), (connection) => {
  // Requests have no body; a head that comes in two reads may be cut in its last four bytes.
  let rest: Buffer | undefined;
  connection.receive({
    onBytes(part) {
      const bytes = rest === undefined ? part : Buffer.concat([rest, part]);
      rest = endedPart(bytes);
      for (let at = 0; (at = bytes.indexOf(REQUEST_END, at)) >= 0; at += REQUEST_END.length) {
        connection.write(RESPONSE);
      }
    },
    onEnd: () => connection.close(),
    onError: () => connection.close(),
  });
});

path.listen(listenOn(sinkPort), (connection) => {
  connection.receive({
    onBytes: () => undefined,
    onEnd: () => connection.close(),
    onError: () => connection.close(),
  });
});

process.stdout.write('ready\n');
