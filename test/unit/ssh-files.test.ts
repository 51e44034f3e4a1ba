import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { takeOnOptions } from '../../lab/cli/on-options.ts';
import { quote } from '../../lab/hosts/remote/host.ts';
import { parseSshConfig, settingsFor, type HostSettings } from '../../lab/hosts/ssh/config.ts';
import { parseDestination } from '../../lab/hosts/ssh/destination.ts';
import { describePosition } from '../../lab/hosts/ssh/errors.ts';
import { expandPath } from '../../lab/hosts/ssh/files.ts';
import { wishedAlgorithms } from '../../lab/hosts/ssh/host-key.ts';
import {
  fingerprint,
  judgeKey,
  knownHostName,
  parseKnownHosts,
} from '../../lab/hosts/ssh/known-hosts.ts';
import { matchesPatterns } from '../../lab/hosts/ssh/patterns.ts';

/** A key of a type with any 32 bytes, as it goes over the wire. */
function keyOf(type: string, seed: string): Buffer {
  const field = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const body = createHash('sha256').update(seed).digest();
  return Buffer.concat([field(Buffer.from(type)), field(body)]);
}

const ONE = keyOf('ssh-ed25519', 'one');
const TWO = keyOf('ssh-ed25519', 'two');
const RSA = keyOf('ssh-rsa', 'rsa');
const lineOf = (names: string, key: Buffer, type = 'ssh-ed25519') =>
  `${names} ${type} ${key.toString('base64')}`;

t.test('parseDestination() reads [user@]host[:port]', async (t) => {
  t.same(parseDestination('host'), { host: 'host' });
  t.same(parseDestination('me@host:2222'), { user: 'me', host: 'host', port: 2222 });
  t.same(parseDestination('me@corp@host'), { user: 'me@corp', host: 'host' });
  t.same(parseDestination('[fe80::1]:22'), { host: 'fe80::1', port: 22 });
  t.same(parseDestination('root@::1'), { user: 'root', host: '::1' });
  for (const bad of [
    '',
    '@host',
    'host:',
    'host:0',
    'host:65536',
    'host:x',
    '-oProxy=x',
    '[::1',
    'a b',
  ])
    t.throws(() => parseDestination(bad), { code: 'LAB_BAD_DESTINATION' }, `"${bad}"`);
});

t.test('matchesPatterns() is that of ssh, and never slow', async (t) => {
  t.ok(matchesPatterns('web1', ['web?']));
  t.notOk(matchesPatterns('web12', ['web?']));
  t.ok(matchesPatterns('a.example.org', ['*.example.org', '!b.*']));
  t.notOk(matchesPatterns('b.example.org', ['*.example.org', '!b.*']), 'taken out by "!"');
  t.notOk(matchesPatterns('c', ['!b']), '"!" alone matches nothing');
  t.notOk(matchesPatterns('a'.repeat(2000), [`${'*a'.repeat(200)}b`]));
});

t.test('parseKnownHosts() and judgeKey() tell known, changed, revoked and unknown', async (t) => {
  const text = [
    '# comment',
    lineOf('one.example,192.0.2.1', ONE),
    lineOf('[one.example]:2222', TWO),
    lineOf('one.example', RSA, 'ssh-rsa'),
    lineOf('*.wild.example,!no.wild.example', ONE),
    `@revoked ${lineOf('*', keyOf('ssh-ed25519', 'stolen'))}`,
    `@cert-authority ${lineOf('*', TWO)}`,
    '',
  ].join('\n');
  const known = parseKnownHosts(text, 'kh');
  t.same(known.faults, []);
  const judge = (host: string, port: number, key: Buffer) =>
    judgeKey(known, knownHostName(host, port), key);
  t.match(judge('One.Example', 22, ONE), { kind: 'known', by: { at: { line: 2 } } });
  t.equal(judge('192.0.2.1', 22, ONE).kind, 'known');
  t.match(judge('one.example', 22, TWO), { kind: 'changed', was: [{ at: { line: 2 } }] });
  t.equal(judge('one.example', 2222, TWO).kind, 'known', 'another port is another host');
  t.equal(judge('one.example', 2222, ONE).kind, 'changed');
  t.match(judge('192.0.2.1', 22, RSA), {
    kind: 'unknown',
    otherTypes: [{ keyType: 'ssh-ed25519' }],
  });
  t.equal(judge('a.wild.example', 22, ONE).kind, 'known');
  t.equal(judge('no.wild.example', 22, ONE).kind, 'unknown');
  t.equal(judge('any', 22, keyOf('ssh-ed25519', 'stolen')).kind, 'revoked');
  t.equal(judge('any', 22, TWO).kind, 'unknown', 'an authority is no key of a host');
  t.same(wishedAlgorithms(known, 'one.example').slice(0, 3), [
    'ssh-ed25519',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ]);
});

t.test('parseKnownHosts() says where a line is none, and reads on', async (t) => {
  const garbage = [
    'host',
    'host ssh-ed25519',
    'host ssh-ed25519 !!!!',
    lineOf('host', ONE, 'ssh-rsa'),
    '|2|c2FsdA==|aGFzaA== ssh-ed25519 AAAA',
    `  @trusted ${lineOf('host', ONE)}`,
    lineOf('host', ONE),
  ];
  const { entries, faults } = parseKnownHosts(garbage.join('\n'), 'kh');
  t.same(
    faults.map(({ at }) => describePosition(at)),
    ['kh:1:5', 'kh:2:17', 'kh:3:18', 'kh:4:14', 'kh:5:1', 'kh:6:3'],
  );
  t.match(faults[3], { text: 'the key says "ssh-ed25519", the line "ssh-rsa"' });
  t.equal(entries.length, 1, 'the good line counts');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const { at } of parseKnownHosts(text, 'kh').faults) if (at.column < 1) return false;
      return true;
    }),
    { numRuns: 200 },
  );
});

t.test('known hosts and fingerprints are those of ssh-keygen', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ssh-files-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'key');
  const keygen = (...args: readonly string[]) =>
    execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  keygen('-q', '-t', 'ed25519', '-N', '', '-f', file);
  const [, base64 = ''] = readFileSync(`${file}.pub`, 'utf8').split(' ');
  const key = Buffer.from(base64, 'base64');
  t.equal(fingerprint(key), keygen('-l', '-f', `${file}.pub`).split(' ')[1]);
  const hosts = join(folder, 'known_hosts');
  execFileSync('sh', ['-c', `echo '[host]:2222 ssh-ed25519 ${base64}' > ${hosts}`]);
  keygen('-q', '-H', '-f', hosts);
  const known = parseKnownHosts(readFileSync(hosts, 'utf8'), hosts);
  t.equal(known.entries[0]?.names.kind, 'hashed');
  t.equal(judgeKey(known, '[host]:2222', key).kind, 'known');
  t.equal(judgeKey(known, 'host', key).kind, 'unknown', 'no other name');
});

t.test(
  'settingsFor() takes the first value, adds identity files, follows Host and Match',
  async (t) => {
    const text = `
Port 2200
Host web* !web9
  HostName %h.example.org
  User "two words"
  IdentityFile ~/.ssh/a
  IdentitiesOnly=yes
Match host web1.example.org
  IdentityFile ~/.ssh/b   # a comment
  ProxyCommand ssh -W %h:%p jump=1
Match exec "test -f /x"
  User never
Host *
  User last
  UserKnownHostsFile /a /b
  ProxyJump none
`;
    const of = (alias: string): HostSettings => settingsFor(parseSshConfig(text, 'config'), alias);
    t.match(of('web1'), {
      hostName: 'web1.example.org',
      port: 2200,
      user: 'two words',
      identityFiles: ['~/.ssh/a', '~/.ssh/b'],
      identitiesOnly: true,
      proxyCommand: 'ssh -W %h:%p jump=1',
      userKnownHostsFiles: ['/a', '/b'],
      notes: [/^config:11:1: "Match exec test -f \/x" is not read here/],
    });
    t.match(of('web9'), { hostName: undefined, user: 'last', identitiesOnly: false, port: 2200 });
    t.equal(of('web1').proxyJump, undefined);
  },
);

t.test('parseSshConfig() includes files under the conditions of where it stands', async (t) => {
  const files = (pattern: string) =>
    pattern === 'more/*' ? [{ file: 'more/a', text: 'User inside\nHost b\nPort 7\n' }] : [];
  const text = 'Host a b\nInclude more/* none\nPort 9\n';
  const settings = parseSshConfig(text, 'config', files);
  t.match(settingsFor(settings, 'a'), { user: 'inside', port: 9 });
  t.match(settingsFor(settings, 'b'), { user: 'inside', port: 7 });
  t.match(settingsFor(settings, 'c'), { user: undefined, port: undefined });
  const endless = () => [{ file: 'loop', text: 'Include loop\n' }];
  t.throws(() => parseSshConfig('Include loop\n', 'config', endless), {
    code: 'LAB_BAD_SSH_CONFIG',
    message: /^Cannot read "loop:1:1": 16 files include another/,
  });
});

t.test('parseSshConfig() says where a line is none', async (t) => {
  const read = (text: string) => settingsFor(parseSshConfig(text, 'config'), 'host');
  const cases: readonly (readonly [string, RegExp])[] = [
    ['Host *\n  Port', /"config:2:3": "Port" has no value/],
    ['User "me', /"config:1:6": a quote is not closed/],
    ['Host *\n Port  22x', /"config:2:8": "22x" is no port, a number from 1 to 65535 was wished/],
    ['IdentitiesOnly maybe', /"config:1:16": IdentitiesOnly is "maybe", "yes" or "no" was wished/],
    ['Match host', /"config:1:1": "Match host" has no patterns/],
  ];
  for (const [text, message] of cases)
    t.throws(() => read(text), { code: 'LAB_BAD_SSH_CONFIG', message }, text);
  t.doesNotThrow(() => read('Host other\nPort 22x\n'), 'what does not count is not read');
});

t.test('expandPath() knows the tokens of ssh', async (t) => {
  t.equal(
    expandPath('~/.ssh/%r@%h-100%%', '/home/me', { r: 'root', h: 'host' }),
    '/home/me/.ssh/root@host-100%',
  );
  t.equal(expandPath('%d/%x', '/home/me'), '/home/me/%x', 'unknown ones stay');
});

t.test('takeOnOptions() takes its own, wherever they stand, up to --', async (t) => {
  t.same(takeOnOptions(['run', '--on', 'a@b', 'x.yaml', '--identity=k']), {
    on: 'a@b',
    identity: 'k',
    args: ['run', 'x.yaml'],
  });
  const inner = ['exec', 'sleep', '--', 'ls', '--on', 'x'];
  t.same(takeOnOptions(inner), { on: undefined, identity: undefined, args: inner });
  t.throws(() => takeOnOptions(['run', '--on']), { code: 'LAB_BAD_OPTION' });
  t.throws(() => takeOnOptions(['run', '--on=']), { code: 'LAB_BAD_OPTION' });
});

t.test('quote() gives one word to every shell', async (t) => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ -~\n]*$/), (word) => {
      const said = execFileSync('sh', ['-c', `printf %s ${quote(word)}`], { encoding: 'utf8' });
      return said === word;
    }),
    { numRuns: 40 },
  );
  t.equal(quote('plain-1/2'), 'plain-1/2');
});
