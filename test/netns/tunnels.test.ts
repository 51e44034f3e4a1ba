import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { attachProgram, listPrograms, loadClassifier } from '../../dataplane/kernel/bpf.ts';
import { assemble } from '../../dataplane/kernel/bpf-assembler.ts';
import { NetlinkSocket } from '../../dataplane/kernel/netlink.ts';
import { createNetns, withNetns } from '../../dataplane/kernel/netns.ts';
import { findLink } from '../../dataplane/kernel/rtnetlink-list.ts';
import { addAddress, createVeth, setLink } from '../../dataplane/kernel/rtnetlink.ts';
import { listHeaderPrograms } from '../../dataplane/tunnels/header-programs.ts';
import { ensureTunnel, removeTunnel } from '../../dataplane/tunnels/ensure-tunnel.ts';
import { listTunnels } from '../../dataplane/tunnels/list-tunnels.ts';
import { chooseTunnelKind, probeTunnels } from '../../dataplane/tunnels/probe.ts';
import { TUNNEL_KINDS, type TunnelKind, type TunnelSpec } from '../../dataplane/tunnels/tunnel.ts';
import { GENEVE_FIRST } from '../support/geneve-first.ts';
import {
  type FrameOptions,
  geneveFragments,
  geneveFrame,
  type GeneveEnds,
  SENDER_MAC,
} from './support/geneve-frames.ts';

const IN: TunnelSpec = {
  name: 'istioin',
  vni: 1000,
  remote: '10.9.0.2',
  port: 6081,
  address: '192.168.126.1/30',
  underlay: 'eth0',
};
const PEER_IN: TunnelSpec = {
  ...IN,
  name: 'pistioin',
  remote: '10.9.0.1',
  address: '192.168.126.2/30',
};
const OUT: TunnelSpec = { ...IN, name: 'istioout', vni: 1001, address: '192.168.127.1/30' };
const PEER_OUT: TunnelSpec = {
  ...PEER_IN,
  name: 'pistioout',
  vni: 1001,
  address: '192.168.127.2/30',
};

/** What works here is tried, whichever of it the lab would take. */
const probes = await probeTunnels();
const tried = (kind: TunnelKind): { readonly skip?: string } => {
  const probe = probes.find((one) => one.kind === kind);
  return probe?.works === true ? {} : { skip: `${kind}: ${probe?.evidence ?? 'not tried'}` };
};
const FALL_BACKS = ['vxlan-ebpf', 'vxlan-nft'] as const;
const needsBoth = FALL_BACKS.map(tried).find(({ skip }) => skip !== undefined) ?? {};

const hasNft = tried('vxlan-nft').skip === undefined;

interface Pair {
  readonly a: number;
  readonly b: number;
}

/** Two namespaces with a veth between them: 10.9.0.1 and 10.9.0.2. */
function makePair(test: Test): Pair {
  const [a, b] = [createNetns(), createNetns()];
  test.teardown(() => [a, b].forEach((fd) => closeSync(fd)));
  {
    using socket = new NetlinkSocket({ protocol: 'route', netns: a });
    socket.request([createVeth({ name: 'eth0' }, { name: 'eth0', netns: b })]);
  }
  [a, b].forEach((netns, i) => {
    using socket = new NetlinkSocket({ protocol: 'route', netns });
    const { index } = findLink(socket, 'eth0')!;
    socket.request([
      addAddress({ index, address: `10.9.0.${i + 1}/24` }),
      setLink('eth0', { isUp: true }),
      setLink('lo', { isUp: true }),
    ]);
    // Multicast reports of the kernel carry what their buffers had left as a mark (`mark` and
    // `reserved_tailroom` of sk_buff are one word): only packets of the test may be counted.
    run(netns, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1');
    run(netns, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
  });
  return { a, b };
}

async function makeTunnels({ a, b }: Pair, kind: TunnelKind): Promise<void> {
  for (const spec of [IN, OUT]) await ensureTunnel(spec, kind, { netns: a });
  for (const spec of [PEER_IN, PEER_OUT]) await ensureTunnel(spec, kind, { netns: b });
}

function run(netns: number, command: string, ...args: string[]): string {
  return withNetns(netns, () => execFileSync(command, args, { encoding: 'utf8', timeout: 30_000 }));
}

function canPing(netns: number, address: string): boolean {
  try {
    run(netns, 'ping', '-c', '2', '-i', '0.05', '-W', '2', address);
    return true;
  } catch {
    return false;
  }
}

/** Frames of `eth0` while `traffic` runs, as tshark reads the fields. */
async function captured(
  netns: number,
  traffic: () => void | Promise<void>,
  fields: readonly string[],
): Promise<string[][]> {
  const folder = mkdtempSync(join(tmpdir(), 'tunnels-test-'));
  const file = join(folder, 'eth0.pcap');
  try {
    const child = withNetns(netns, () =>
      spawn('tcpdump', ['-i', 'eth0', '--immediate-mode', '-U', '-w', file, 'udp'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    );
    await once(child.stderr, 'data');
    await traffic();
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await ended;
    const columns = fields.flatMap((field) => ['-e', field]);
    const argv = ['-r', file, ...GENEVE_FIRST, '-T', 'fields', ...columns];
    const text = execFileSync('tshark', argv, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 60_000,
    });
    return text
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

t.test('probeTunnels() says what it tried, and chooseTunnelKind() takes what works', async (t) => {
  t.same(
    probes.map((probe) => probe.kind),
    TUNNEL_KINDS,
  );
  const first = probes.find((probe) => probe.works);
  t.ok(first, 'one of them works here');
  t.equal(await chooseTunnelKind(), first?.kind);
  for (const probe of probes.filter((p) => !p.works)) t.match(probe.evidence, /\w+/);
});

for (const kind of TUNNEL_KINDS) {
  t.test(
    `ensureTunnel() puts true Geneve on the wire, and both ends talk: ${kind}`,
    tried(kind),
    async (t) => {
      const pair = makePair(t);
      await makeTunnels(pair, kind);
      const frames = await captured(
        pair.b,
        () => {
          t.ok(canPing(pair.a, '192.168.126.2'), 'through VNI 1000');
          t.ok(canPing(pair.a, '192.168.127.2'), 'through VNI 1001');
        },
        [
          'frame.protocols',
          'geneve.vni',
          'geneve.proto_type',
          'udp.dstport',
          'udp.checksum',
          'ip.ttl',
        ],
      );
      const pings = frames.filter(([protocols]) => protocols?.endsWith('icmp:data'));
      t.equal(pings.length, 8, 'two requests and two replies in each tunnel');
      for (const [protocols, , type, port, checksum] of pings) {
        t.equal(protocols, 'eth:ethertype:ip:udp:geneve:eth:ethertype:ip:icmp:data');
        t.equal(type, '0x6558');
        t.equal(port, '6081');
        t.equal(checksum, '0x0000', 'no UDP checksum, as the geneve device has none');
      }
      t.same(new Set(pings.map(([, vni]) => vni)), new Set(['0x0003e8', '0x0003e9']));
      t.notOk(
        frames.some(([protocols]) => protocols?.includes('vxlan')),
        'and no VXLAN',
      );
    },
  );

  t.test(
    `ensureTunnel() keeps the mark of the inner packet on the outer one: ${kind}`,
    tried(kind),
    async (t) => {
      const pair = makePair(t);
      await makeTunnels(pair, kind);
      const rules = (mark: string) => [
        ...['-t', 'mangle', '-A', 'POSTROUTING', '-o', 'eth0', '-p', 'udp', '--dport', '6081'],
        ...['-m', 'mark', '--mark', mark],
      ];
      for (const mark of ['0x100/0x100', '0x40/0x40']) run(pair.a, 'iptables', ...rules(mark));
      run(pair.a, 'ping', '-c', '2', '-W', '3', '-m', '256', '192.168.127.2');
      const counted = run(pair.a, 'iptables-save', '-c', '-t', 'mangle');
      const packets = [...counted.matchAll(/^\[(\d+):\d+\] -A POSTROUTING .*--mark (\S+)/gm)];
      const of = (mark: string) => Number(packets.find((found) => found[2]!.startsWith(mark))?.[1]);
      t.ok(of('0x100') >= 2, 'outer packets carry 0x100');
      t.equal(of('0x40'), 0, 'and no mark that was not put on');
    },
  );

  t.test(
    `ensureTunnel() leaves a right tunnel alone and replaces a wrong one: ${kind}`,
    tried(kind),
    async (t) => {
      const { a } = makePair(t);
      t.equal(await ensureTunnel(IN, kind, { netns: a }), 'created');
      const [before] = listTunnels(a);
      t.match(before, { kind, name: 'istioin', vni: 1000, port: 6081, mtuBytes: 1450 });
      t.equal(await ensureTunnel(IN, kind, { netns: a }), 'unchanged');
      t.equal(listTunnels(a)[0]?.index, before?.index, 'the same device');
      t.equal(await ensureTunnel({ ...IN, port: 6083 }, kind, { netns: a }), 'replaced');
      t.match(listTunnels(a), [{ kind, port: 6083 }]);
    },
  );

  t.test(
    `removeTunnel() takes what is its own and nothing else: ${kind}`,
    tried(kind),
    async (t) => {
      const { a } = makePair(t);
      if (hasNft) run(a, 'nft', 'add', 'table', 'netdev', 'foreign');
      const before = run(a, 'nft', 'list', 'ruleset');
      await ensureTunnel(IN, kind, { netns: a });
      await ensureTunnel(OUT, kind, { netns: a });
      t.equal(await removeTunnel('istioin', { netns: a }), true);
      t.match(
        listTunnels(a).map((tunnel) => tunnel.name),
        ['istioout'],
      );
      t.equal(await removeTunnel('istioin', { netns: a }), false, 'nothing left to take');
      await removeTunnel('istioout', { netns: a });
      t.equal(run(a, 'nft', 'list', 'ruleset'), before, 'rules are as they were');
      t.notMatch(run(a, 'ip', 'link'), /istio/);
      t.same(programsAt(a), [], 'nor is a program left');
    },
  );

  t.test(
    `ensureTunnel() refuses what cannot be, and leaves nothing of it: ${kind}`,
    tried(kind),
    async (t) => {
      const { a } = makePair(t);
      const bad: [Partial<TunnelSpec>, string][] = [
        [{ vni: 1 << 24 }, 'DATAPLANE_TUNNEL_INPUT'],
        [{ port: 0 }, 'DATAPLANE_TUNNEL_INPUT'],
        [{ remote: 'fd00::1' }, 'DATAPLANE_TUNNEL_INPUT'],
        [{ address: '192.168.126.1/33' }, 'DATAPLANE_TUNNEL_INPUT'],
        [{ name: 'a"; flush ruleset; "' }, 'DATAPLANE_TUNNEL_INPUT'],
        [{ name: 'longer-than-names-are' }, 'DATAPLANE_TUNNEL_INPUT'],
        [{ underlay: 'eth7' }, 'DATAPLANE_TUNNEL_UNDERLAY'],
        [{ name: 'eth0' }, 'DATAPLANE_TUNNEL_TAKEN'],
      ];
      for (const [fields, code] of bad) {
        await t.rejects(ensureTunnel({ ...IN, ...fields }, kind, { netns: a }), { code });
      }
      t.same(listTunnels(a), []);
      await ensureTunnel(IN, kind, { netns: a });
      await t.rejects(ensureTunnel({ ...IN, name: 'twin' }, kind, { netns: a }), {
        code: 'DATAPLANE_TUNNEL_TAKEN',
      });
      t.notMatch(run(a, 'nft', 'list', 'ruleset'), /twin/);
    },
  );
}

t.test('ensureTunnel() rewrites in one way only, whichever it was before', needsBoth, async (t) => {
  const pair = makePair(t);
  for (const kind of ['vxlan-nft', 'vxlan-ebpf', 'vxlan-nft'] as const) {
    await makeTunnels(pair, kind);
    t.same(
      listTunnels(pair.a).map((tunnel) => tunnel.kind),
      [kind, kind],
    );
    t.equal(programsAt(pair.a).length, kind === 'vxlan-ebpf' ? 4 : 0, 'programs of both tunnels');
    const tables = run(pair.a, 'nft', 'list', 'tables');
    t.equal(tables.includes('geneve-'), kind === 'vxlan-nft', 'a table');
    t.ok(canPing(pair.a, '192.168.126.2'), `${kind} works`);
  }
});

t.test(
  'programs outlive who attached them, and end with the device',
  tried('vxlan-ebpf'),
  async (t) => {
    const pair = makePair(t);
    await ensureTunnel(PEER_IN, 'vxlan-ebpf', { netns: pair.b });
    const source = `
    import { ensureTunnel } from './dataplane/tunnels/ensure-tunnel.ts';
    await ensureTunnel(${JSON.stringify(IN)}, 'vxlan-ebpf');`;
    run(pair.a, process.execPath, '--import=tsx', '--input-type=module', '-e', source);
    t.equal(programsAt(pair.a).length, 2, 'the process that attached them is gone, they are not');
    t.ok(canPing(pair.a, '192.168.126.2'));
    run(pair.a, 'ip', 'link', 'del', 'eth0');
    t.same(programsAt(pair.a), []);
  },
);

t.test('removeTunnel() leaves programs of others at the link', tried('vxlan-ebpf'), async (t) => {
  const { a } = makePair(t);
  using socket = new NetlinkSocket({ protocol: 'route', netns: a });
  const at = { netns: a, link: findLink(socket, 'eth0')!.index, hook: 'ingress' } as const;
  const program = loadClassifier(assemble([{ text: 'r0 = -1' }, { text: 'exit' }]), 'foreign');
  attachProgram(at, program);
  closeSync(program);
  await ensureTunnel(IN, 'vxlan-ebpf', { netns: a });
  t.match(
    listPrograms(at).map(({ name }) => name),
    ['foreign', 'geneve_arriving'],
  );
  await removeTunnel('istioin', { netns: a });
  t.match(
    listPrograms(at).map(({ name }) => name),
    ['foreign'],
  );
});

/** Frames that arrive, and who gets an answer by each fall-back. */
const ARRIVALS: readonly (readonly [string, Omit<FrameOptions, 'id'>, boolean | 'ebpf'])[] = [
  ['plain Geneve', {}, true],
  ['behind options of IPv4', { ipOptions: '01010101' }, true],
  ['with a right UDP checksum', { checksum: 'good' }, 'ebpf'],
  ['with a wrong UDP checksum', { checksum: 'bad' }, false],
  ['VXLAN', { header: '080000000003e800' }, false],
  ['another VNI', { vni: 1004 }, false],
  ['another sender', { from: '10.9.0.7' }, false],
  ['with an option of Geneve', { header: '010065580003e80001020000' }, false],
  ['OAM', { header: '008065580003e800' }, false],
  ['critical', { header: '004065580003e800' }, false],
  ['another version', { header: '400065580003e800' }, false],
  ['IPv4 and no Ethernet inside', { header: '000008000003e800' }, false],
];

for (const kind of FALL_BACKS) {
  t.test(`${kind} answers frames of other makers, byte by byte`, tried(kind), async (t) => {
    const { a, b } = makePair(t);
    await ensureTunnel(IN, kind, { netns: a });
    const mac = (name: string): string => {
      using socket = new NetlinkSocket({ protocol: 'route', netns: a });
      return findLink(socket, name)!.mac;
    };
    const ends: GeneveEnds = {
      outer: { from: '10.9.0.2', to: '10.9.0.1', toMac: mac('eth0') },
      inner: { from: '192.168.126.2', to: '192.168.126.1', toMac: mac('istioin') },
    };
    const neighbour = SENDER_MAC.replaceAll(/..(?=.)/g, '$&:');
    run(a, 'ip', 'neigh', 'add', '192.168.126.2', 'lladdr', neighbour, 'dev', 'istioin');
    const frames = ARRIVALS.map(([, options], i) => geneveFrame(ends, { ...options, id: i + 1 }));
    const cut = ARRIVALS.length + 1;
    const whole = frames[0]!;
    const short = [100, 84, 60, 30].map((length) => whole.slice(0, length));
    const replies = await captured(
      b,
      () => send(b, [...frames, ...short, ...geneveFragments(ends, { id: cut })]),
      ['icmp.type', 'icmp.ident'],
    );
    const answered = new Set(replies.filter(([type]) => type === '0').map(([, id]) => Number(id)));
    for (const [i, [name, , wished]] of ARRIVALS.entries()) {
      const isWished = wished === 'ebpf' ? kind === 'vxlan-ebpf' : wished;
      t.equal(answered.has(i + 1), isWished, `${isWished ? 'takes' : 'refuses'} ${name}`);
    }
    t.ok(answered.has(cut), 'takes a packet in two fragments');
  });
}

/** Puts frames on `eth0` as they are. */
function send(netns: number, frames: readonly string[]): void {
  const program =
    'import socket, sys; s = socket.socket(17, 3); s.bind(("eth0", 0)); ' +
    '[s.send(bytes.fromhex(line)) for line in sys.argv[1:]]';
  run(netns, 'python3', '-c', program, ...frames);
  // Answers come as the frames arrive; those that the kernel has put aside (fragments) too.
  run(netns, 'sleep', '0.3');
}

/** Programs that rewrite headers, at any link of the netns. */
function programsAt(netns: number): readonly string[] {
  return listHeaderPrograms(netns).map(({ link, way }) => `${link.name} ${way}`);
}
