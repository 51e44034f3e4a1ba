import t from 'tap';
import { accessLog, eventually, execIn, startLab, PROXY_ERAS } from './support/lab.ts';

const VAULT = 'http://vault.locked/get';
const CURL = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '5', VAULT];
/** What curl says of a connection that ends before an answer: empty reply, or reset. */
const CURL_CUT = [52, 56];

for (const era of PROXY_ERAS) {
  t.test(`policies show as they do in the field in era ${era}`, async (t) => {
    await using lab = await startLab('pairs.yaml', era, 'p');

    await t.test('an admitted identity gets its answer', async (t) => {
      const done = await execIn(lab, 'client', CURL);
      t.equal(done.exitCode, 0);
      t.equal(done.stdout, '200');
    });

    await t.test('an identity that no ALLOW names is refused by CONNECT 401', async (t) => {
      const done = await execIn(lab, 'near', CURL);
      t.ok(CURL_CUT.includes(done.exitCode), `curl ends with ${done.exitCode}`);
      const client = await lineOf('node1', (line) => line.includes('src.workload="near"'));
      t.match(client, /\terror\taccess\tconnection complete\t/);
      t.match(client, /direction="outbound" .* error="http status: 401"$/);
      const server = await lineOf('node2', (line) => line.includes('src.workload="near"'));
      t.match(server, /\terror\taccess\tconnection complete\t/);
      t.match(server, /src\.identity="spiffe:\/\/cluster\.local\/ns\/demo\/sa\/near"/);
      t.match(
        server,
        /error="connection closed due to policy rejection: allow policies exist, but none allowed"$/,
      );
    });

    await t.test('a DENY outweighs the ALLOW that names the same identity', async (t) => {
      const done = await execIn(lab, 'far', CURL);
      t.ok(CURL_CUT.includes(done.exitCode), `curl ends with ${done.exitCode}`);
      const server = await lineOf(
        'node2',
        (line) => line.includes('src.workload="far"') && line.includes('"inbound"'),
      );
      t.match(
        server,
        /error="connection closed due to policy rejection: explicitly denied by: locked\/refuse-far"$/,
      );
    });

    await t.test('plain text has no identity to admit', async (t) => {
      const done = await execIn(lab, 'bystander', CURL);
      t.ok(CURL_CUT.includes(done.exitCode), `curl ends with ${done.exitCode}`);
      const server = await lineOf('node2', (line) => line.includes('src.workload="bystander"'));
      t.match(server, /allow policies exist, but none allowed"$/);
      t.notMatch(server, /src\.identity/, 'and the log claims none');
    });

    async function lineOf(node: string, isWanted: (line: string) => boolean): Promise<string> {
      const lines = await eventually(
        () => accessLog(lab, node),
        (found) => found.some(isWanted),
      );
      return lines.find(isWanted) ?? 'no such line';
    }
  });
}
