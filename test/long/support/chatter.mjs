// Many small HTTP requests over kept connections, for captures with many frames:
// `node chatter.mjs <host> <port> <requests>`.
import { Agent, get } from 'node:http';

const [host, port, requests] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 24 });
let left = Number(requests);

async function chat() {
  while (left-- > 0) await once();
}

function once() {
  return new Promise((resolve, reject) => {
    const request = get({ host, port, path: '/status/200', agent }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
  });
}

await Promise.all(Array.from({ length: 24 }, chat));
agent.destroy();
