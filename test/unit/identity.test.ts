import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { CaClient, WorkloadCertificate } from '../../dataplane/identity/ca-client.ts';
import { CertificateStore } from '../../dataplane/identity/certificate-store.ts';
import { issueRoot, readSigner, toPem } from '../../dataplane/identity/certificate.ts';
import { DerError, readElements } from '../../dataplane/identity/der.ts';
import { createFileCa, loadFileCa, readCertificates } from '../../dataplane/identity/file-ca.ts';
import {
  IdentityError,
  spiffeIds,
  verifyClientNames,
  verifyServerNames,
} from '../../dataplane/identity/peer-names.ts';
import { formatSpiffe, parseSpiffe, type Spiffe } from '../../dataplane/identity/spiffe.ts';

const SLEEP: Spiffe = { trustDomain: 'cluster.local', namespace: 'demo', serviceAccount: 'sleep' };
const dir = mkdtempSync(join(tmpdir(), 'identity-test-'));
t.teardown(() => rmSync(dir, { recursive: true }));
const file = (name: string): string => join(dir, name);

t.test('parseSpiffe() takes exactly the form of the mesh', async (t) => {
  t.same(parseSpiffe('spiffe://cluster.local/ns/demo/sa/sleep'), SLEEP);
  t.equal(formatSpiffe(SLEEP), 'spiffe://cluster.local/ns/demo/sa/sleep');
  for (const bad of [
    '',
    'cluster.local/ns/demo/sa/sleep',
    'spiffe://td/ns/a/sa',
    'spiffe://td/ns/a/sa/b/c',
    'spiffe://td/sa/a/ns/b',
    'https://td/ns/a/sa/b',
  ]) {
    t.equal(parseSpiffe(bad), undefined, bad);
  }
});

/** A CA certificate and key by openssl: the makers of CAs that people have. */
function opensslCa(
  name: string,
  algorithm: readonly string[],
): { certFile: string; keyFile: string } {
  const [certFile, keyFile] = [file(`${name}.pem`), file(`${name}.key`)];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-nodes',
      ...algorithm,
      '-subj',
      '/O=Example/CN=root ü',
      '-addext',
      'keyUsage=critical,keyCertSign',
      '-days',
      '30',
      '-keyout',
      keyFile,
      '-out',
      certFile,
    ],
    { stdio: 'pipe' },
  );
  return { certFile, keyFile };
}

function opensslVerify(root: string, certificate: WorkloadCertificate, purpose: string): string {
  const [leaf, chain] = [file('leaf.pem'), file('chain.pem')];
  const [first = '', ...rest] = certificate.credentials.certificateChain.split(
    /(?<=-----END CERTIFICATE-----\n)/,
  );
  writeFileSync(leaf, first);
  writeFileSync(chain, rest.join('') || first);
  return execFileSync(
    'openssl',
    ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', root, '-untrusted', chain, leaf],
    { encoding: 'utf8', stdio: 'pipe' },
  );
}

t.test('loadFileCa() signs with any CA: EC, RSA, ours; openssl accepts the result', async (t) => {
  const cas = {
    'P-256': opensslCa('p256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']),
    'P-384': opensslCa('p384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']),
    'P-521': opensslCa('p521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521']),
    RSA: opensslCa('rsa', ['-newkey', 'rsa:2048']),
    ours: createFileCa({ dir: file('own') }),
  };
  for (const [name, files] of Object.entries(cas)) {
    const certificate = await loadFileCa(files).fetchCertificate(SLEEP);
    for (const purpose of ['sslserver', 'sslclient']) {
      t.match(opensslVerify(files.certFile, certificate, purpose), /: OK/, `${name} ${purpose}`);
    }
    t.equal(
      certificate.credentials.roots,
      readCertificates(readFileSync(files.certFile, 'utf8'))
        .map((c) => toPem(c.raw))
        .join(''),
    );
  }
  const other = await loadFileCa(cas.RSA).fetchCertificate(SLEEP);
  t.throws(
    () => opensslVerify(cas['P-256'].certFile, other, 'sslserver'),
    'a foreign root does not verify it',
  );
});

t.test('workload certificates have the form of the mesh', async (t) => {
  const now = Date.UTC(2026, 10, 21, 9, 0, 0, 700);
  const ca = loadFileCa({ ...createFileCa({ dir: file('own') }), now: () => now });
  const [a, b] = [await ca.fetchCertificate(SLEEP), await ca.fetchCertificate(SLEEP)];
  const x509 = new X509Certificate(a.credentials.certificateChain);
  t.equal(x509.subjectAltName, 'URI:spiffe://cluster.local/ns/demo/sa/sleep');
  t.equal(x509.subject, undefined, 'empty subject');
  t.equal(x509.ca, false);
  t.equal(x509.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  t.same(x509.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  t.equal(new Date(x509.validFrom).getTime(), now - 700, 'from the second it was made');
  t.equal(new Date(x509.validTo).getTime() - now + 700, 86_400_000, '24 h');
  t.not(a.credentials.key, b.credentials.key, 'a key for each request');
  t.not(x509.serialNumber, new X509Certificate(b.credentials.certificateChain).serialNumber);
  const text = execFileSync('openssl', ['x509', '-noout', '-text'], {
    input: a.credentials.certificateChain,
    encoding: 'utf8',
  });
  t.match(text, /Subject Alternative Name: critical\s+URI:spiffe/);
  t.match(text, /Basic Constraints: critical\s+CA:FALSE/);
});

t.test(
  'loadFileCa() presents intermediates and trusts only self-signed certificates',
  async (t) => {
    const root = createFileCa({ dir: file('own') });
    const rootX509 = new X509Certificate(readFileSync(root.certFile));
    const keyFile = file('intermediate.key');
    execFileSync(
      'openssl',
      [
        'req',
        '-new',
        '-nodes',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-subj',
        '/O=middle',
        '-keyout',
        keyFile,
        '-out',
        file('i.csr'),
      ],
      { stdio: 'pipe' },
    );
    writeFileSync(
      file('i.ext'),
      'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n',
    );
    execFileSync(
      'openssl',
      [
        'x509',
        '-req',
        '-in',
        file('i.csr'),
        '-CA',
        root.certFile,
        '-CAkey',
        root.keyFile,
        '-CAcreateserial',
        '-days',
        '5',
        '-extfile',
        file('i.ext'),
        '-out',
        file('i.pem'),
      ],
      { stdio: 'pipe' },
    );
    const certFile = file('bundle.pem');
    writeFileSync(
      certFile,
      readFileSync(file('i.pem'), 'utf8') + readFileSync(root.certFile, 'utf8'),
    );
    const certificate = await loadFileCa({ certFile, keyFile }).fetchCertificate(SLEEP);
    t.equal(
      readCertificates(certificate.credentials.certificateChain).length,
      2,
      'leaf and intermediate',
    );
    t.equal(certificate.credentials.roots, toPem(rootX509.raw));
    t.match(opensslVerify(root.certFile, certificate, 'sslclient'), /: OK/);
    writeFileSync(certFile, readFileSync(file('i.pem'), 'utf8'));
    t.throws(() => loadFileCa({ certFile, keyFile }), {
      code: 'DATAPLANE_CA_FILE',
      message: /no self-signed root/,
    });
  },
);

t.test('loadFileCa() refuses files that are no CA', async (t) => {
  const good = createFileCa({ dir: file('own') });
  const other = opensslCa('other', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  const leaf = await loadFileCa(good).fetchCertificate(SLEEP);
  writeFileSync(file('leaf-as-ca.pem'), leaf.credentials.certificateChain);
  writeFileSync(file('leaf-as-ca.key'), leaf.credentials.key);
  writeFileSync(file('text'), 'no pem');
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [file('missing'), good.keyFile, /ENOENT/],
    [good.certFile, file('missing'), /ENOENT/],
    [file('text'), good.keyFile, /holds no certificate/],
    [good.certFile, file('text'), /Cannot use .*text/],
    [good.certFile, other.keyFile, /it is not the key of/],
    [file('leaf-as-ca.pem'), file('leaf-as-ca.key'), /its first certificate is no CA/],
  ];
  for (const [certFile, keyFile, message] of cases) {
    t.throws(() => loadFileCa({ certFile, keyFile }), { name: 'CaFileError', message });
  }
  const ed = generateKeyPairSync('ed25519');
  const validity = { notBefore: new Date(), notAfter: new Date() };
  t.throws(() => issueRoot(ed.privateKey, ed.publicKey, 'x', validity), {
    code: 'DATAPLANE_CA_KEY_TYPE',
  });
});

t.test('createFileCa() makes a root once, its key for root alone', async (t) => {
  const files = createFileCa({ dir: file('fresh/ca'), trustDomain: 'td.example' });
  const before = readFileSync(files.certFile, 'utf8');
  t.equal(statSync(files.keyFile).mode & 0o777, 0o600);
  t.equal(new X509Certificate(before).subject, 'O=td.example');
  t.same(createFileCa({ dir: file('fresh/ca') }), files);
  t.equal(readFileSync(files.certFile, 'utf8'), before);
});

/** A leaf with several names, as a foreign CA may make it. */
function certificateWithNames(...names: readonly string[]): X509Certificate {
  const [out, config] = [file('names.pem'), file('names.conf')];
  const lines = names.map((name, i) => name.replace(':', `.${i} = `)).join('\n');
  writeFileSync(
    config,
    `[req]\ndistinguished_name = dn\nx509_extensions = e\n[dn]\n[e]\nsubjectAltName = @names\n[names]\n${lines}\n`,
  );
  const args = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=x'];
  execFileSync(
    'openssl',
    ['req', '-x509', '-nodes', ...args, '-config', config, '-keyout', '/dev/null', '-out', out],
    { stdio: 'pipe' },
  );
  return new X509Certificate(readFileSync(out));
}

t.test('peer names are judged as ztunnel judges them', async (t) => {
  const both = certificateWithNames(
    'DNS:a.example',
    'URI:https://x/y',
    'URI:spiffe://old.td/ns/a/sa/b',
    'URI:spiffe://cluster.local/ns/demo/sa/sleep',
  );
  t.same(spiffeIds(both).map(formatSpiffe), [
    'spiffe://old.td/ns/a/sa/b',
    'spiffe://cluster.local/ns/demo/sa/sleep',
  ]);
  t.equal(
    formatSpiffe(verifyClientNames(both, 'cluster.local')),
    'spiffe://old.td/ns/a/sa/b',
    'the first name is the identity',
  );
  t.throws(() => verifyClientNames(both, 'evil.td'), {
    name: 'IdentityError',
    message:
      'identity verification error: peer did not present the expected trustdomain (evil.td), got spiffe://old.td/ns/a/sa/b, spiffe://cluster.local/ns/demo/sa/sleep',
  });
  t.equal(formatSpiffe(verifyServerNames(both, [formatSpiffe(SLEEP)])), formatSpiffe(SLEEP));
  t.throws(() => verifyServerNames(both, ['spiffe://cluster.local/ns/demo/sa/other']), {
    message: /peer did not present the expected SAN \(spiffe.*other\), got /,
  });
  t.throws(() => verifyServerNames(both, []), IdentityError, 'nothing expected: always fails');
  const none = certificateWithNames('DNS:a.example');
  t.throws(() => verifyClientNames(none, 'cluster.local'), IdentityError);
  const quoted = certificateWithNames(
    'URI:spiffe://cluster.local/ns/demo/sa/sleep, URI:spiffe://evil/ns/a/sa/b',
  );
  t.throws(
    () => verifyServerNames(quoted, ['spiffe://evil/ns/a/sa/b']),
    IdentityError,
    'a comma inside a name makes no second name',
  );
});

class FakeCa implements CaClient {
  calls = 0;
  fails = 0;
  lifeMs = 10_000;
  readonly now: () => number;
  constructor(now: () => number) {
    this.now = now;
  }
  async fetchCertificate(identity: Spiffe): Promise<WorkloadCertificate> {
    this.calls++;
    await sleep(1);
    if (this.fails-- > 0) throw new Error(`no ${identity.serviceAccount}`);
    const credentials = { key: `key${this.calls}`, certificateChain: '', roots: '' };
    return {
      identity,
      credentials,
      notBefore: new Date(this.now()),
      notAfter: new Date(this.now() + this.lifeMs),
    };
  }
}

t.test('CertificateStore fetches once, renews at half life, keeps what is valid', async (t) => {
  // Its timers keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const ca = new FakeCa(Date.now);
  ca.lifeMs = 2400;
  using store = new CertificateStore(ca, { random: () => 0.5 });
  t.equal(store.peek(SLEEP), undefined);
  const [first, second] = await Promise.all([store.get(SLEEP), store.get(SLEEP)]);
  t.equal(first, second);
  t.equal(ca.calls, 1, 'one request for two askers');
  t.equal(store.peek(SLEEP), first);
  ca.fails = 1;
  await sleep(1500);
  t.equal(ca.calls, 2, 'renewal at half life was tried, and failed');
  t.equal(await store.get(SLEEP), first, 'what is valid stays in use');
  t.match(store.states(), [['spiffe://cluster.local/ns/demo/sa/sleep', { kind: 'available' }]]);
  await sleep(1200);
  t.equal(ca.calls, 3, 'tried again');
  t.not(await store.get(SLEEP), first);
  store.forget(SLEEP);
  t.same(store.states(), []);
});

t.test(
  'CertificateStore hands the failure to who asks and never gives out expired ones',
  async (t) => {
    let clockMs = 1_000_000;
    const ca = new FakeCa(() => clockMs);
    ca.fails = 1;
    using store = new CertificateStore(ca, { now: () => clockMs });
    await t.rejects(store.get(SLEEP), { message: 'no sleep' });
    t.match(store.states(), [[String, { kind: 'unavailable', error: { message: 'no sleep' } }]]);
    const first = await store.get(SLEEP);
    clockMs += 10_001;
    t.equal(store.peek(SLEEP), undefined);
    t.not(await store.get(SLEEP), first);
  },
);

t.test('DER readers refuse bad bytes', async (t) => {
  for (const hex of ['30', '3005', '308000', '30850000000001', '3082ffff00']) {
    t.throws(() => readElements(Buffer.from(hex, 'hex')), DerError, hex);
  }
  t.same(readSigner(Buffer.alloc(0)).keyIdentifier, undefined);
  const root = createFileCa({ dir: file('own') });
  const raw = new X509Certificate(readFileSync(root.certFile)).raw;
  t.equal(readSigner(raw).keyIdentifier?.length, 20);
});

t.test('certificates of ours are read by another library as they were meant', async (t) => {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const certificate = await loadFileCa(createFileCa({ dir: file('own') })).fetchCertificate(SLEEP);
  const parsed = new x509.X509Certificate(certificate.credentials.certificateChain);
  const names = parsed.getExtension(x509.SubjectAlternativeNameExtension);
  t.ok(names?.critical);
  t.same(names?.names.toJSON(), [{ type: 'url', value: formatSpiffe(SLEEP) }]);
  t.equal(parsed.getExtension(x509.BasicConstraintsExtension)?.ca, false);
  t.same(parsed.getExtension(x509.ExtendedKeyUsageExtension)?.usages.length, 2);
});
