import { join } from 'node:path';
import t from 'tap';
import type { Path, RunFacts } from '../../lab/facts/facts.ts';
import { legText } from '../../lab/judge/places.ts';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { observe } from '../../lab/run/observe.ts';
import { createLab } from '../../lab/world/client.ts';
import type { CniName } from '../../topologies/cni.ts';
import { loadTopology } from '../../topologies/load.ts';
import { scratchDirectory } from '../e2e/support/lab.ts';

t.setTimeout(600_000);

const TOPOLOGY = join(import.meta.dirname, '..', '..', 'topologies', 'two-nodes.yaml');
/** What ztunnel-PREROUTING marks UDP with: leave alone, and remember (facts: redirect §1.3). */
const SKIP_MARK = 0x200;

async function plainRequest(cni: CniName): Promise<{ facts: RunFacts; plain: Path; mesh: Path }> {
  const plan = planLab(loadTopology(TOPOLOGY), {
    lab: `t${process.pid}-${cni}`,
    cni,
    era: 'geneve',
  });
  await using lab = await createLab(plan);
  await using scratch = await scratchDirectory();
  const ask = (name: string, from: string) =>
    lab.request({ from, to: 'http://pod:httpbin:8080/get', count: 1 }, { name, timeoutMs: 13_000 });
  const { facts } = await observe(lab, { directory: scratch.path }, () =>
    Promise.all([ask('plain', 'legacy'), ask('mesh', 'sleep')]),
  );
  const [plain, mesh] = facts.paths;
  return { facts, plain: plain!, mesh: mesh! };
}

/**
 * Istio 1.18 to 1.20 marks every UDP packet of a node as none of its business. The outer packet of an
 * overlay is one, and the kernel leaves its mark on what is inside (`__iptunnel_pull_header()` wipes
 * it only between namespaces): what comes by the overlay is never redirected.
 */
t.test(
  'node-level redirect and a VXLAN overlay collide: what comes in by it goes round ztunnel',
  async (t) => {
    const routed = await plainRequest('ptp');
    const legs = ({ facts }: { facts: RunFacts }, path: Path) =>
      path.legs.map((leg) => legText(facts, leg));
    t.same(
      legs(routed, routed.plain),
      ['legacy -> httpbin:15006', 'ztunnel(node2) -> httpbin:8080'],
      'control: without an overlay it is captured',
    );
    t.equal(routed.mesh.request.status, 200, 'control: and the mesh works');

    const overlaid = await plainRequest('vxlan');
    t.same(legs(overlaid, overlaid.plain), ['legacy -> httpbin:8080'], 'the app itself answers');
    const leg = overlaid.facts.connections[overlaid.plain.legs[0]!.connection]!;
    const inside = leg.sightings.find(
      ({ netns, interface: name }) => netns === 'node2' && name === 'vxlan0',
    );
    t.ok(
      inside?.marks.some((mark) => (mark & SKIP_MARK) === SKIP_MARK),
      'what came out of the overlay has the mark of the packet around it',
    );
    t.not(overlaid.mesh.request.outcome, 'ok', 'HBONE between nodes does not come about');
  },
);
