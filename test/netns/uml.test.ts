import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { withNetns } from '../../dataplane/kernel/netns.ts';
import { probeTunnels } from '../../dataplane/tunnels/probe.ts';
import { GENEVE_FIRST } from '../support/geneve-first.ts';
import { tapNetns } from '../support/tap-netns.ts';
import { missingForUml, runInUml } from '../support/uml.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const TIMEOUT_MS = 120_000;
/** Of the outer headers, whatever is no checksum of changing things, no length and no address. */
const OUTER = [
  'ip.dsfield',
  'ip.flags.df',
  'ip.ttl',
  'udp.dstport',
  'udp.checksum',
  'geneve.flags',
  'geneve.proto_type',
  'geneve.vni',
  'geneve.reserved',
];

const lacking = missingForUml();
const fallBacks = (await probeTunnels(['vxlan-ebpf', 'vxlan-nft'])).filter(({ works }) => works);
const skip =
  lacking ?? (fallBacks.length > 0 ? undefined : 'no stand-in for geneve on this machine');
const needsBoth = skip === undefined ? {} : { skip };

t.setTimeout(300_000);

t.test(
  'each fall-back and geneve device talk to each other, in the same words',
  needsBoth,
  async (t) => {
    const netns = tapNetns(t);
    const folder = mkdtempSync(join(tmpdir(), 'uml-test-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const pcap = join(folder, 'tap.pcap');
    const recorder = await record(netns, pcap);
    const kinds = fallBacks.map(({ kind }) => kind);
    const outside = kinds.reduce<Promise<string[]>>(
      async (before, kind) => [...(await before), await startEnd(netns, kind)],
      Promise.resolve([]),
    );
    const end = 'node --import=tsx test/support/geneve-end.ts geneve 1 2 eth0';
    using inside = await runInUml(
      `ip link set vec0 name eth0 && ip addr add 10.9.0.1/24 dev eth0 && ip link set eth0 up
     cd ${ROOT} && ${kinds.map(() => end).join(' && ')} &&
     ping -c 3 -i 0.2 192.168.126.2 >&2`,
      { timeoutMs: TIMEOUT_MS, tap: { netns, name: 'tap0' } },
    );
    t.equal(inside.exitCode, 0, 'the end inside is done, and pings the one outside');
    if (inside.exitCode !== 0) t.comment(inside.console + inside.stdout + inside.stderr);
    const reports = (texts: readonly string[]) => texts.map((text) => JSON.parse(text || '{}'));
    const tunnel = { vni: 1000, port: 6081, mtuBytes: 1450 };
    const echo = { echoed: { isSame: true }, servedBytes: 256 * 1024 };
    t.match(
      reports(inside.stdout.trim().split('\n')),
      kinds.map(() => ({ tunnels: [{ ...tunnel, kind: 'geneve' }], ...echo })),
      'ends inside',
    );
    t.match(
      reports(await outside),
      kinds.map((kind) => ({ tunnels: [{ ...tunnel, kind }], ...echo })),
      'ends outside',
    );
    const ended = once(recorder, 'exit');
    recorder.kill('SIGINT');
    await ended;
    compareWords(t, pcap);
  },
);

/** The outer headers of both directions are of one kind, and the wire has nothing else on that port. */
function compareWords(t: Test, pcap: string): void {
  // Errors of ICMP quote what came before the other end was there.
  const frames = fieldsOf(pcap, 'udp.port == 6081', ['ip.src', 'frame.protocols', ...OUTER]).filter(
    ([, protocols]) => !protocols?.startsWith('eth:ethertype:ip:icmp'),
  );
  const inner = new Set(frames.map(([, protocols]) => protocols?.split(':').slice(3, 6).join(':')));
  t.same(inner, new Set(['udp:geneve:eth']), 'every frame on the port is Geneve');
  const wordsOf = (source: string): Set<string> =>
    new Set(frames.filter(([from]) => from === source).map((frame) => frame.slice(2).join(' ')));
  const real = wordsOf('10.9.0.1');
  t.same([...real].length > 0, true, 'the device has spoken');
  t.same(wordsOf('10.9.0.2'), real, `outer headers are alike: ${[...real].join(' | ')}`);
}

function fieldsOf(pcap: string, filter: string, fields: readonly string[]): string[][] {
  const text = execFileSync(
    'tshark',
    // The first occurrence is the outer header's.
    [
      ...['-r', pcap, ...GENEVE_FIRST, '-Y', filter, '-T', 'fields', '-E', 'occurrence=f'],
      ...fields.flatMap((field) => ['-e', field]),
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000, maxBuffer: 1 << 26 },
  );
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
}

async function record(netns: number, pcap: string) {
  const child = withNetns(netns, () =>
    spawn('tcpdump', ['-i', 'tap0', '--immediate-mode', '-U', '-w', pcap], {
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  await once(child.stderr, 'data');
  return child;
}

/** Standard output of the end outside, when it is done. */
function startEnd(netns: number, kind: string): Promise<string> {
  const program = join(ROOT, 'test', 'support', 'geneve-end.ts');
  const child = withNetns(netns, () =>
    spawn(process.execPath, ['--import=tsx', program, kind, '2', '1', 'tap0'], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: TIMEOUT_MS,
    }),
  );
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  return once(child, 'close').then(() => Buffer.concat(parts).toString());
}
