import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NetlinkSocket } from '../../dataplane/kernel/netlink.ts';
import { createNetns, withNetns } from '../../dataplane/kernel/netns.ts';
import { findLink } from '../../dataplane/kernel/rtnetlink-list.ts';
import { addAddress, createVeth, setLink } from '../../dataplane/kernel/rtnetlink.ts';
import { createVxlan } from '../../dataplane/kernel/tunnel-link.ts';
import { ensureTunnel, listTunnels, removeTunnel } from '../../dataplane/tunnels/ensure-tunnel.ts';
import { chooseTunnelKind, probeTunnels } from '../../dataplane/tunnels/probe.ts';
import type { TunnelKind, TunnelSpec } from '../../dataplane/tunnels/tunnel.ts';

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

const hasRewrite = (await probeTunnels()).some((p) => p.kind === 'vxlan-rewrite' && p.works);
/** The fall-back is tried wherever it can be, whatever the kernel has beside it. */
const fallBack = hasRewrite ? {} : { skip: 'no nft chains at netdev egress in this kernel' };

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
    const text = execFileSync('tshark', ['-r', file, '-T', 'fields', ...columns], {
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
  const probes = await probeTunnels();
  t.same(
    probes.map((probe) => probe.kind),
    ['geneve', 'vxlan-rewrite'],
  );
  const first = probes.find((probe) => probe.works);
  t.ok(first, 'one of the two works here');
  t.equal(await chooseTunnelKind(), first?.kind);
  for (const probe of probes.filter((p) => !p.works)) t.match(probe.evidence, /\w+/);
});

t.test('ensureTunnel() puts true Geneve on the wire, and both ends talk', async (t) => {
  const kind = await chooseTunnelKind();
  const pair = makePair(t);
  await makeTunnels(pair, kind);
  const frames = await captured(
    pair.b,
    () => {
      t.ok(canPing(pair.a, '192.168.126.2'), 'through VNI 1000');
      t.ok(canPing(pair.a, '192.168.127.2'), 'through VNI 1001');
    },
    ['frame.protocols', 'geneve.vni', 'geneve.proto_type', 'udp.dstport', 'udp.checksum', 'ip.ttl'],
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
});

t.test('ensureTunnel() keeps the mark of the inner packet on the outer one', async (t) => {
  const pair = makePair(t);
  await makeTunnels(pair, await chooseTunnelKind());
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
});

t.test('ensureTunnel() leaves a right tunnel alone and replaces a wrong one', async (t) => {
  const kind = await chooseTunnelKind();
  const { a } = makePair(t);
  t.equal(await ensureTunnel(IN, kind, { netns: a }), 'created');
  const [before] = await listTunnels({ netns: a });
  t.match(before, { ...kindOf(kind), name: 'istioin', vni: 1000, port: 6081, mtuBytes: 1450 });
  t.equal(await ensureTunnel(IN, kind, { netns: a }), 'unchanged');
  t.equal((await listTunnels({ netns: a }))[0]?.index, before?.index, 'the same device');
  t.equal(await ensureTunnel({ ...IN, port: 6083 }, kind, { netns: a }), 'replaced');
  t.match(await listTunnels({ netns: a }), [{ ...kindOf(kind), port: 6083 }]);
});

t.test('removeTunnel() takes what is its own and nothing else', async (t) => {
  const kind = await chooseTunnelKind();
  const { a } = makePair(t);
  if (hasRewrite) run(a, 'nft', 'add', 'table', 'netdev', 'foreign');
  const before = run(a, 'nft', 'list', 'ruleset');
  await ensureTunnel(IN, kind, { netns: a });
  await ensureTunnel(OUT, kind, { netns: a });
  t.equal(await removeTunnel('istioin', { netns: a }), true);
  t.match(
    (await listTunnels({ netns: a })).map((tunnel) => tunnel.name),
    ['istioout'],
  );
  t.equal(await removeTunnel('istioin', { netns: a }), false, 'nothing left to take');
  await removeTunnel('istioout', { netns: a });
  t.equal(run(a, 'nft', 'list', 'ruleset'), before, 'rules are as they were');
  t.notMatch(run(a, 'ip', 'link'), /istio/);
});

t.test('ensureTunnel() refuses what cannot be, and leaves nothing of it', async (t) => {
  const kind = await chooseTunnelKind();
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
  t.same(await listTunnels({ netns: a }), []);
  await ensureTunnel(IN, kind, { netns: a });
  await t.rejects(ensureTunnel({ ...IN, name: 'twin' }, kind, { netns: a }), {
    code: 'DATAPLANE_TUNNEL_TAKEN',
  });
  t.notMatch(run(a, 'nft', 'list', 'ruleset'), /twin/);
});

t.test('the fall-back takes no VXLAN and no Geneve of another sender', fallBack, async (t) => {
  const pair = makePair(t);
  await makeTunnels(pair, 'vxlan-rewrite');
  t.ok(canPing(pair.b, '192.168.126.1'), 'positive control: both ends are right');
  await removeTunnel('pistioin', { netns: pair.b });
  {
    using socket = new NetlinkSocket({ protocol: 'route', netns: pair.b });
    const { vni, remote, port } = PEER_IN;
    socket.request([createVxlan({ name: 'plain', vni, remote, port })]);
    const { index } = findLink(socket, 'plain')!;
    socket.request([
      addAddress({ index, address: PEER_IN.address }),
      setLink(index, { isUp: true }),
    ]);
  }
  t.notOk(canPing(pair.b, '192.168.126.1'), 'a plain VXLAN end gets no answer');
  const strangers = async (remote: string): Promise<void> => {
    const spec = { ...IN, name: 'other', vni: 1003, remote, address: '192.168.128.1/30' };
    await ensureTunnel(spec, 'vxlan-rewrite', { netns: pair.a });
  };
  const again = { ...PEER_IN, name: 'again', vni: 1003, address: '192.168.128.2/30' };
  await ensureTunnel(again, 'vxlan-rewrite', { netns: pair.b });
  await strangers('10.9.0.77');
  t.notOk(canPing(pair.b, '192.168.128.1'), 'nor a Geneve end that is not the remote');
  await strangers('10.9.0.2');
  run(pair.b, 'ip', 'neigh', 'flush', 'dev', 'again');
  t.ok(canPing(pair.b, '192.168.128.1'), 'positive control: as the remote it does');
});

function kindOf(kind: TunnelKind): { kind: TunnelKind } {
  return { kind };
}
