import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFileCa, loadFileCa } from '../../dataplane/identity/file-ca.ts';
import type { ClaimWorld } from './claim-world.ts';
import { addressOf } from './checks/ask.ts';

/** Plain Node with its own HTTP/2 and TLS, so that what it asks for owes nothing to our ztunnel. */
const CLIENT = `
const [address, directory, ...authorities] = process.argv.slice(1);
const { readFileSync } = require('node:fs');
const read = (name) => readFileSync(directory + '/' + name);
const session = require('node:http2').connect('https://' + address + ':15008', {
  key: read('key.pem'), cert: read('cert.pem'), rejectUnauthorized: false, ALPNProtocols: ['h2'],
});
session.on('error', (error) => { console.log(JSON.stringify([error.code])); process.exit(1); });
const ask = (authority) => new Promise((resolve) => {
  const stream = session.request({ ':method': 'CONNECT', ':authority': authority });
  stream.on('response', (headers) => { resolve(headers[':status']); stream.close(); });
  stream.on('error', (error) => resolve(error.code));
});
Promise.all(authorities.map(ask)).then((seen) => {
  console.log(JSON.stringify(seen));
  process.exit(0);
});
`;

export interface HandmadeConnect {
  /** The pod it is sent from; one outside the mesh reaches port 15008 itself. */
  readonly from: string;
  /** The pod whose port 15008 is dialled. */
  readonly to: string;
  /** Service account whose certificate is shown, in namespace `demo`. */
  readonly as: string;
  readonly authorities: readonly string[];
}

/** CONNECTs with these authorities, on one connection; the status of each, or how it failed. */
export async function connectByHand(
  world: ClaimWorld,
  { from, to, as, authorities }: HandmadeConnect,
): Promise<readonly (number | string)[]> {
  const { directory, plan } = world.lab;
  const ca = loadFileCa(createFileCa({ dir: join(directory, 'ca') }));
  const identity = { trustDomain: plan.trustDomain, namespace: 'demo', serviceAccount: as };
  const { credentials } = await ca.fetchCertificate(identity);
  const own = await mkdtemp(join(directory, 'connect-'));
  try {
    await writeFile(join(own, 'key.pem'), credentials.key, { mode: 0o600 });
    await writeFile(join(own, 'cert.pem'), credentials.certificateChain);
    const argv = [process.execPath, '-e', CLIENT, addressOf(world, to), own, ...authorities];
    const { stdout } = await world.run(from, argv);
    return stdout.startsWith('[') ? (JSON.parse(stdout) as (number | string)[]) : ['no answer'];
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}
