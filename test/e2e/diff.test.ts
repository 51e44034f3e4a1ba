import t, { type Test } from 'tap';
import type { Era } from '../../dataplane/redirect/era.ts';
import {
  compareEras,
  type EraComparison,
  type EraReading,
  readEra,
} from '../../lab/compare/compare-eras.ts';
import type { Section } from '../../lab/compare/read-kernel.ts';
import { renderEraDiff } from '../../lab/report/era-diff.ts';
import { renderRules } from '../../lab/report/rules.ts';
import { columns } from '../../lab/report/text.ts';
import { observe } from '../../lab/run/observe.ts';
import { readRules } from '../../lab/run/read-rules.ts';
import { runScenarios } from '../../lab/run/run-scenarios.ts';
import type { Lab } from '../../lab/world/lab.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import { execIn, scratchDirectory, startLab } from './support/lab.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.setTimeout(240_000);

const PLACES = ['client', 'node1', 'ztunnel/node1'];

/** One era of the pairs, read from the kernel after one request to the other node. */
async function read(era: Era, look?: (lab: Lab) => Promise<void>): Promise<EraReading> {
  await using lab = await startLab('pairs.yaml', era, 'd');
  await using scratch = await scratchDirectory();
  const first = lab.plan.scenarios.find(({ request }) => request.to.includes('pod:far'));
  if (first === undefined) throw new Error('no request to the other node');
  const observation = await observe(lab, { directory: scratch.path }, () =>
    runScenarios(lab, [first]),
  );
  const reading = await readEra(lab, PLACES, observation);
  await look?.(lab);
  return reading;
}

/** `rules` of a node: what stands beside the chains, what differs, and policies with reasons. */
async function lookAtNode(t: Test, lab: Lab): Promise<void> {
  const text = async (): Promise<string> =>
    renderRules(await readRules(lab, 'node1'), { width: 200 });
  const right = await text();
  t.match(right, /ztunnel-pods-ips: \d+ addresses/);
  t.match(right, /10\.244\.\d+\.\d+ {2}demo\/client, uid /);
  t.match(right, /istioout: VNI 1001 to 10\.244\.\d+\.\d+:6081, up/);
  t.match(right, /net\/ipv4\/conf\/v-ztunnel\/accept_local = 1\n +why: /);
  t.match(right, /As wanted:/);
  await execIn(lab, 'node1', ['sysctl', '-qw', 'net.ipv4.conf.v-ztunnel.accept_local=0']);
  t.match(
    await text(),
    /DIFFERS[^]*setting +net\/ipv4\/conf\/v-ztunnel\/accept_local = 0, wished: 1/,
  );
  const policy: NetworkPolicy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'closed', namespace: 'demo' },
    spec: { podSelector: {}, policyTypes: ['Ingress'] },
  };
  await lab.changePolicies({ kind: 'apply', policy });
  t.match(await text(), /network-policy NP-FORWARD 1: [^\n]*\n +why: A connection is judged once/);
  t.match(await text(), /network-policy NP-INGRESS 1: /, 'jumps with comments are followed');
}

function linesOf(
  comparison: EraComparison,
  place: string,
  section: Section,
  side: 'left' | 'right',
) {
  const found = comparison.places.find((each) => each.place === place);
  const rows = found?.sections.find(({ name }) => name === section)?.rows ?? [];
  return rows.filter(({ kind }) => kind !== 'same').flatMap((row) => row[side] ?? []);
}

t.test('compareEras() puts geneve and inpod-nft side by side as the kernel has them', async (t) => {
  const [geneve, nft] = await Promise.all([
    read('geneve', (lab) => lookAtNode(t, lab)),
    read('inpod-nft'),
  ]);
  const comparison = compareEras(geneve, nft);
  const only = (place: string, section: Section, side: 'left' | 'right'): string =>
    linesOf(comparison, place, section, side).join('\n');

  t.equal(only('client', 'rules', 'left'), '', 'era geneve has no rules in pods');
  t.match(only('client', 'rules', 'right'), /istio-ambient-nat istio-output .*redirect to :15001/);
  t.match(only('client', 'sockets', 'right'), /^tcp \*:15001 ztunnel$/m);
  t.match(only('client', 'policy rules', 'right'), /^32764: from all fwmark 0x111/);
  t.match(only('node1', 'rules', 'left'), /mangle ztunnel-PREROUTING .*--set-xmark 0x210\/0x210/);
  t.notMatch(only('node1', 'rules', 'left'), /@th/, 'the stand-in for the device is no rule');
  t.match(only('node1', 'sets', 'left'), /^ztunnel-pods-ips 10\.244\.\d+\.\d+ "/m);
  t.match(only('node1', 'sets', 'right'), /^istio-inpod-probes-v4 10\.244\.\d+\.\d+ "/m);
  t.match(only('node1', 'policy rules', 'left'), /^100: from all fwmark 0x200\/0x200 goto 32766/m);
  t.match(only('node1', 'routes', 'left'), /via 192\.168\.127\.2 dev istioout table 101/);
  t.match(only('node1', 'links', 'left'), /^istioout geneve .*id 1001 remote .* port 6081/m);
  t.match(only('node1', 'sysctls', 'left'), /v-ztunnel\.accept_local = 1/);
  t.match(only('ztunnel/node1', 'rules', 'left'), /-i pistioout .*TPROXY --on-port 15001/);

  for (const width of [80, 120, 160]) {
    const text = renderEraDiff(comparison, { width });
    const long = text.split('\n').filter((line) => columns(line) > width);
    t.same(long, [], `fits ${width} columns`);
    t.match(text.replaceAll(/\s+/g, ' '), /the SYN, .*geneve/, 'the way says what was tunnelled');
  }
  const legs = renderEraDiff(comparison, { width: 160 }).split('\n');
  const second = legs.filter((line) => line.startsWith('2 '));
  t.match(second, [/^2 .* 2 /], 'the same leg begins on the same line');
  await t.test('an era beside itself is the same', async (t) => {
    const same = compareEras(nft, nft);
    const differing = same.places.flatMap(({ sections }) =>
      sections.filter(({ rows }) => rows.some(({ kind }) => kind !== 'same')),
    );
    t.same(differing, []);
    t.match(renderEraDiff(same, { width: 80 }), /rules: the same \(\d+ lines\)/);
  });
});
