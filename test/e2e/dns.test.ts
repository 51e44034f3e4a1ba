import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Era } from '../../dataplane/redirect/era.ts';
import { CAPTURE_FILES } from '../../lab/capture/layout.ts';
import { dissect } from '../../lab/facts/dissect/dissect.ts';
import type { DnsExchange } from '../../lab/facts/dissect/types.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { observe } from '../../lab/run/observe.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import { parseTopology } from '../../topologies/load.ts';
import { execIn, scratchDirectory, TESTED_ERAS } from './support/lab.ts';

/** `two` has both families, `four` one; `head` has no address of its own. */
const TOPOLOGY = `name: dns
ipFamilies: [IPv4, IPv6]
nodes: [node1]
namespaces: { demo: { mode: ambient }, plain: {} }
workloads:
  web: { namespace: demo, app: http }
  captured: { namespace: demo, annotations: { ambient.istio.io/dns-capture: 'true' } }
  spared: { namespace: demo, annotations: { ambient.istio.io/dns-capture: 'false' } }
  bystander: { namespace: plain }
services:
  two: { namespace: demo, selector: web, ports: { 80: 8080 }, ipFamilyPolicy: RequireDualStack }
  four: { namespace: demo, selector: web, ports: { 80: 8080 } }
  head: { namespace: demo, selector: web, ports: { 80: 8080 }, headless: true }
`;
const DOMAIN = 'demo.svc.cluster.local';
/** What ztunnel gives its answers, and what the lab's CoreDNS does. */
const TTL = { ztunnel: 30, cluster: 5 } as const;

interface Answer {
  readonly status: string;
  readonly isAuthoritative: boolean;
  /** Time to live and data of each record of the type asked for. */
  readonly records: readonly (readonly [ttl: number, data: string])[];
}

async function dig(lab: Lab, pod: string, type: string, name: string, how: string[] = []) {
  const argv = ['dig', '+tries=1', '+time=5', '+noall', '+comments', '+answer', ...how, name, type];
  const { stdout } = await execIn(lab, pod, argv);
  const records = [...stdout.matchAll(/^\S+\s+(\d+)\s+IN\s+(\w+)\s+(.*)$/gm)].filter(
    ([, , found]) => found === type,
  );
  return {
    status: /status: (\w+)/.exec(stdout)?.[1] ?? stdout,
    isAuthoritative: /flags: [^;]*\baa\b/.test(stdout),
    records: records.map(([, ttl, , data]) => [Number(ttl), data!] as const),
  } satisfies Answer;
}

/** Eras whose agents read the annotation; the others go by the setting of the whole mesh. */
const readsAnnotation = (era: Era): boolean => era !== 'inpod-tproxy';

for (const era of TESTED_ERAS) {
  t.test(`questions are answered as ztunnel does, captured or not, in era ${era}`, async (t) => {
    const topology = parseTopology(TOPOLOGY, 'dns.yaml');
    const plan = planLab(topology, { lab: `t${process.pid}d-${era.replace('inpod-', '')}`, era });
    await using lab = await createLab(plan);
    await using scratch = await scratchDirectory();
    await observe(lab, { directory: scratch.path }, async () => {
      await Promise.all([askCaptured(t, lab), askElsewhere(t, lab, era)]);
      return [];
    });
    const folder = join(scratch.path, CAPTURE_FILES.interfaces);
    const names = await readdir(folder);
    const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
    const seen = dissect(files).interfaces;
    const at = (netns: string, ifname: string): readonly DnsExchange[] =>
      seen.find((each) => each.netns === netns && each.ifname === ifname)?.dns ?? [];
    const ports = (found: readonly DnsExchange[], transport: string) =>
      new Set(
        found.filter((each) => each.transport === transport).map(({ server }) => server.port),
      );
    t.ok(ports(at('captured.demo', 'lo'), 'udp').has(15053), 'by UDP: to ztunnel');
    const isTcpTaken = ports(at('captured.demo', 'lo'), 'tcp').has(15053);
    t.equal(isTcpTaken, readsAnnotation(era), 'by TCP: to ztunnel from 1.24 on');
    const own = at('spared.demo', 'eth0').filter(({ transport }) => transport === 'udp');
    // Rules of 1.21 would capture ztunnel's own questions too: it asks from its own namespace.
    t.equal(own.length > 0, readsAnnotation(era), 'questions of the spared pod leave it');
    const isSpared = ports(at('spared.demo', 'lo'), 'udp').has(15053) === false;
    t.equal(isSpared, readsAnnotation(era), 'spared: to the cluster alone, where it is known');
    t.equal(ports(at('bystander.plain', 'lo'), 'udp').size, 0, 'outside the mesh: nothing on lo');
  });
}

/** What ztunnel knows it answers; the rest it asks the cluster for. */
async function askCaptured(t: Test, lab: Lab): Promise<void> {
  const ask = (type: string, name: string, how?: string[]) => dig(lab, 'captured', type, name, how);
  const { vip, secondVip } = lab.plan.services.find(({ name }) => name === 'two')!;
  const web = lab.plan.pods.find(({ name }) => name === 'web')!;
  const [a, aaaa, none, head, tcp, srv, unknown, short] = await Promise.all([
    ask('A', `two.${DOMAIN}`),
    ask('AAAA', `two.${DOMAIN}`),
    ask('AAAA', `four.${DOMAIN}`),
    ask('A', `head.${DOMAIN}`),
    ask('A', `two.${DOMAIN}`, ['+tcp']),
    ask('SRV', `_port-80._tcp.two.${DOMAIN}`),
    ask('A', 'no-such-name.example.org'),
    ask('A', 'two.demo'),
  ]);
  const own = { status: 'NOERROR', isAuthoritative: true };
  t.same(a, { ...own, records: [[TTL.ztunnel, vip]] }, 'A');
  t.same(aaaa, { ...own, records: [[TTL.ztunnel, secondVip]] }, 'AAAA');
  t.same(none, { ...own, records: [] }, 'AAAA of a service of IPv4: no data, and no error');
  t.same(head, { ...own, records: [[TTL.ztunnel, web.address]] }, 'headless: its pods');
  t.equal(tcp.records[0]?.[1], vip, 'by TCP');
  t.match(srv, { status: 'NOERROR', isAuthoritative: false }, 'SRV is passed on');
  t.same(srv.records, [[TTL.cluster, `0 100 80 two.${DOMAIN}.`]]);
  t.equal(unknown.status, 'NXDOMAIN', 'a name that nobody knows');
  t.same(short.records, [[TTL.ztunnel, vip]], 'a short form, without a search list');
}

async function askElsewhere(t: Test, lab: Lab, era: Era): Promise<void> {
  const name = `two.${DOMAIN}`;
  const [spared, sparedTcp, srv, bystander, short] = await Promise.all([
    dig(lab, 'spared', 'A', name),
    dig(lab, 'spared', 'A', name, ['+tcp']),
    dig(lab, 'spared', 'SRV', `_port-80._tcp.${name}`),
    dig(lab, 'bystander', 'AAAA', name),
    dig(lab, 'bystander', 'A', 'two.demo'),
  ]);
  const wished = readsAnnotation(era) ? TTL.cluster : TTL.ztunnel;
  t.equal(spared.records[0]?.[0], wished, 'the annotation decides, in the eras that read it');
  t.equal(sparedTcp.records[0]?.[0], TTL.cluster, 'by TCP, passed through or straight');
  t.equal(srv.records.length, 1, 'SRV');
  t.equal(bystander.records[0]?.[0], TTL.cluster, 'outside the mesh');
  t.equal(short.status, 'NXDOMAIN', 'the cluster knows whole names only');
}

t.test(
  'dnsCapture: false leaves every question to the cluster, but for pods that ask for it',
  async (t) => {
    const topology = parseTopology(`${TOPOLOGY}dnsCapture: false\n`, 'dns.yaml');
    const plan = planLab(topology, { lab: `t${process.pid}d-off` });
    await using lab = await createLab(plan);
    const [web, captured] = await Promise.all(
      ['web', 'captured'].map((pod) => dig(lab, pod, 'A', `two.${DOMAIN}`)),
    );
    t.equal(web?.records[0]?.[0], TTL.cluster, 'a pod without the annotation');
    t.equal(captured?.records[0]?.[0], TTL.ztunnel, 'control: one that has it');
  },
);
