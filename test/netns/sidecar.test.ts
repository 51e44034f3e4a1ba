import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runProgram } from '../../lab/hosts/run.ts';
import { renderRestore } from '../../dataplane/redirect/render.ts';
import { sidecarOptionsOf } from '../../dataplane/redirect/sidecar-annotations.ts';
import type { SidecarOptions } from '../../dataplane/redirect/sidecar-options.ts';
import { sidecarRules } from '../../dataplane/redirect/sidecar-rules.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'sidecar');
const PLAIN: SidecarOptions = { isTproxy: false, dnsCapture: false };
const CUSTOM = { uid: 1000670000, gid: 1000670001 };
/** Those of the CNI plugin of Istio 1.30.3 (`cni/pkg/plugin/testdata`). */
const GOLDENS: readonly (readonly [name: string, options: SidecarOptions])[] = [
  ['basic', PLAIN],
  ['tproxy', { ...PLAIN, isTproxy: true }],
  ['dns', { ...PLAIN, dnsCapture: true }],
  ['custom-uid', { ...PLAIN, ...CUSTOM }],
  ['custom-uid-tproxy', { ...PLAIN, ...CUSTOM, isTproxy: true }],
  ['invalid-drop', { ...PLAIN, dropInvalid: true }],
  [
    'include-exclude-ip',
    {
      ...PLAIN,
      includeOutboundRanges: ['127.0.0.0/8'],
      excludeOutboundRanges: ['10.0.0.0/8'],
    },
  ],
  [
    'include-exclude-ports',
    {
      ...PLAIN,
      includeInboundPorts: [1111, 2222],
      excludeInboundPorts: [3333, 4444],
      excludeOutboundPorts: [5555, 6666],
    },
  ],
];

/** Rules as the kernel has them, in a namespace that ends with the question. */
async function savedOf(restore: string): Promise<readonly string[]> {
  const script = 'iptables-restore -w 10 && iptables-save';
  const done = await runProgram(['unshare', '--net', 'sh', '-c', script], { input: restore });
  if (done.exitCode !== 0) throw new Error(`Cannot load rules: ${done.stderr}`);
  return done.stdout.split('\n').filter((line) => !line.startsWith('#'));
}

for (const [name, options] of GOLDENS) {
  t.test(`sidecarRules() are istio-init's in the kernel: ${name}`, async (t) => {
    const golden = readFileSync(join(FIXTURES, `${name}.txt`), 'utf8');
    const [wished, seen] = await Promise.all([
      savedOf(golden),
      savedOf(renderRestore(sidecarRules('ipv4', options))),
    ]);
    t.ok(wished.some((line) => line.startsWith('-A ISTIO_OUTPUT')));
    // Chains are listed in the order in which they were made; nothing hangs on it.
    const sorted = (lines: readonly string[]): readonly string[] => [
      ...lines
        .filter((line) => line.startsWith(':'))
        .map(withoutCounters)
        .sort(),
      ...lines.filter((line) => !line.startsWith(':')),
    ];
    t.same(sorted(seen), sorted(wished));
    const other = renderRestore(sidecarRules('ipv4', { ...options, uid: 1338 }));
    t.notSame(sorted(await savedOf(other)), sorted(wished), 'another user is seen to differ');
  });
}

function withoutCounters(line: string): string {
  return line.replace(/ \[.*$/, '');
}

t.test('sidecarOptionsOf() reads the annotations of Istio, and refuses what says nothing', (t) => {
  const traffic = (name: string, value: string): Record<string, string> => {
    return { [`traffic.sidecar.istio.io/${name}`]: value };
  };
  const text = (annotations: Record<string, string>): string =>
    renderRestore(sidecarRules('ipv4', sidecarOptionsOf(annotations, false)!));
  const ports = text({
    ...traffic('includeInboundPorts', '1111,2222'),
    ...traffic('excludeOutboundPorts', '5555'),
  });
  t.match(ports, /-A ISTIO_INBOUND -p tcp --dport 1111 -j ISTIO_IN_REDIRECT/);
  t.match(ports, /-A ISTIO_OUTPUT -p udp --dport 5555 -j RETURN/);
  t.notMatch(ports, /ISTIO_INBOUND -p tcp --dport 15090/, 'a list of ports has no exceptions');
  const ranges = text({
    ...traffic('includeOutboundIPRanges', '127.0.0.0/8'),
    ...traffic('excludeOutboundIPRanges', '10.0.0.0/8'),
  });
  t.match(ranges, /-d 10.0.0.0\/8 -j RETURN\n-A ISTIO_OUTPUT -d 127.0.0.0\/8 -j ISTIO_REDIRECT\n/);
  t.notMatch(ranges, /owner ! --uid-owner/, 'a loopback range is included');
  t.equal(sidecarOptionsOf({ 'sidecar.istio.io/interceptionMode': 'NONE' }, false), undefined);
  for (const bad of [
    traffic('excludeInboundPorts', '99999'),
    traffic('includeOutboundIPRanges', '10.0.0.0/8 -j ACCEPT'),
    { 'sidecar.istio.io/interceptionMode': 'TPROX' },
  ]) {
    t.throws(() => sidecarOptionsOf(bad, false), { code: 'DATAPLANE_REDIRECT_OPTIONS' });
  }
  t.end();
});
