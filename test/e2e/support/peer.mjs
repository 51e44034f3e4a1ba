// One end of a TCP conversation, run inside a pod: `node peer.mjs <role> <json>`. Prints one JSON
// line when it is done (servers print {"listening":port} first). Plain Node, so that any pod can run it.
import { createHash } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import net from 'node:net';

const CHUNK = Buffer.alloc(1 << 16, 'ambient-lab ');

const ROLES = { resolve, send, fetch, halfClose, expectReset, many, hold, pingPong, serve };

const [role, json = '{}'] = process.argv.slice(2);
const result = await ROLES[role](JSON.parse(json));
if (result !== undefined) print(result);

/** What the pod's resolver says of each name, and how long it takes: addresses, or an error code. */
async function resolve({ names, family = 4 }) {
  const answers = {};
  for (const name of names) {
    const started = performance.now();
    const resolver = new Resolver({ timeout: 3000, tries: 1 });
    const asked = family === 6 ? resolver.resolve6(name) : resolver.resolve4(name);
    const answer = await asked.catch((error) => error.code);
    answers[name] = { answer, ms: performance.now() - started };
  }
  return answers;
}

/** Sends `bytes`, ends, and reads the digest that the server answers. */
async function send({ host, port, bytes }) {
  const socket = await dial(host, port);
  const hash = createHash('sha256');
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
    hash.update(part);
    if (!socket.write(part)) await once(socket, 'drain');
  }
  socket.end();
  const answer = await readAll(socket);
  return { sent: hash.digest('hex'), received: answer.toString() };
}

/** Reads until the end and digests what came. */
async function fetch({ host, port }) {
  const socket = await dial(host, port);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of partsOf(socket)) {
    hash.update(part);
    bytes += part.length;
  }
  return { digest: hash.digest('hex'), bytes };
}

/** Ends its own direction first and wants the whole answer afterwards. */
async function halfClose({ host, port, text, localPort }) {
  const socket = await dial(host, port, localPort);
  socket.end(text);
  const answer = await readAll(socket);
  return { answer: answer.toString(), sawEnd: true };
}

/** How a conversation ends that the other side breaks. */
async function expectReset({ host, port, text }) {
  const started = performance.now();
  try {
    const socket = await dial(host, port);
    const broken = once(socket, 'close');
    socket.on('error', (error) => (socket.fault = error.code));
    socket.on('data', () => {});
    socket.on('end', () => socket.end());
    socket.write(text);
    await broken;
    return { end: socket.fault ?? 'closed', ms: performance.now() - started };
  } catch (error) {
    return { end: error.code, ms: performance.now() - started };
  }
}

/** `count` connections at once; each sends its own line and wants it back. */
async function many({ host, port, count }) {
  const one = async (index) => {
    const socket = await dial(host, port);
    const line = `line ${index} of ${count}`;
    socket.write(line);
    const answer = await readSome(socket, line.length);
    socket.end();
    return answer === line;
  };
  const settled = await Promise.allSettled(Array.from({ length: count }, (_, index) => one(index)));
  const good = settled.filter((entry) => entry.status === 'fulfilled' && entry.value).length;
  const errors = settled.flatMap((entry) =>
    entry.status === 'rejected' ? [entry.reason.code] : [],
  );
  return { good, errors };
}

/** Keeps one connection in use, a line each `everyMs`, until it breaks or `forMs` are over. */
async function hold({ host, port, everyMs, forMs }) {
  const socket = await dial(host, port);
  print({ connected: true });
  let echoed = 0;
  let end;
  socket.on('data', () => echoed++);
  socket.on('error', (error) => (end = error.code));
  socket.on('close', () => (end ??= 'closed'));
  const started = performance.now();
  while (end === undefined && performance.now() - started < forMs) {
    socket.write('tick');
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  socket.destroy();
  return { echoed, end: end ?? 'open', ms: performance.now() - started };
}

/** That many new connections one after the other: how each came out. */
async function pingPong({ host, port, times, everyMs }) {
  const outcomes = [];
  while (outcomes.length < times) {
    outcomes.push(await exchange(host, port));
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return { outcomes };
}

async function exchange(host, port) {
  try {
    const socket = await dial(host, port);
    socket.setTimeout(5000, () =>
      socket.destroy(Object.assign(new Error('slow'), { code: 'TIMEOUT' })),
    );
    socket.write('ping');
    const answer = await readSome(socket, 4);
    socket.destroy();
    return answer === 'ping' ? 'ok' : 'short';
  } catch (error) {
    return error.code ?? 'error';
  }
}

/** Servers: `digest` answers the SHA-256 of what it read, `source` sends bytes, `reset` resets, `echo` echoes. */
async function serve({ port, kind, bytes = 0 }) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    void BEHAVIOURS[kind](socket, bytes);
  });
  server.listen(port, '0.0.0.0');
  await once(server, 'listening');
  print({ listening: port });
}

const BEHAVIOURS = {
  async digest(socket) {
    const hash = createHash('sha256');
    for await (const part of partsOf(socket)) hash.update(part);
    socket.end(hash.digest('hex'));
  },
  async source(socket, bytes) {
    for (let left = bytes; left > 0; left -= CHUNK.length) {
      const part = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      if (!socket.write(part)) await once(socket, 'drain');
    }
    socket.end();
  },
  async reset(socket) {
    await once(socket, 'data');
    socket.resetAndDestroy();
  },
  /** Ends its direction first, then reads on; answers nothing more. */
  async endFirst(socket) {
    socket.end('goodbye');
    const rest = await readAll(socket);
    print({ afterMyEnd: rest.toString() });
  },
  async echo(socket) {
    socket.pipe(socket);
  },
};

async function dial(host, port, localPort) {
  const socket = net.connect({ host, port, localPort, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

async function readAll(socket) {
  const parts = [];
  for await (const part of partsOf(socket)) parts.push(part);
  return Buffer.concat(parts);
}

async function readSome(socket, length) {
  let text = '';
  for await (const part of partsOf(socket)) {
    text += part.toString();
    if (text.length >= length) break;
  }
  return text;
}

/** What the other side sends; its end leaves our own direction open, as a plain loop would not. */
function partsOf(socket) {
  return socket.iterator({ destroyOnReturn: false });
}

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
