import { join } from 'node:path';
import t from 'tap';
import { planLab } from '../../lab/plan/plan-lab.ts';
import { modelMap } from '../../lab/report/html/map-model.ts';
import { isDrifted, readRules } from '../../lab/run/read-rules.ts';
import { createLab } from '../../lab/world/client.ts';
import type { Lab } from '../../lab/world/lab.ts';
import type { GeneveReleaseName } from '../../topologies/era.ts';
import { loadTopology } from '../../topologies/load.ts';
import { execIn } from './support/lab.ts';
import { holdsWhole } from './support/holds-whole.ts';

const PAIRS = join(import.meta.dirname, '..', 'fixtures', 'topologies', 'pairs.yaml');

t.setTimeout(240_000);

function startGeneve(
  release: GeneveReleaseName,
  suffix: string,
  spareZtunnels = false,
): Promise<Lab> {
  const topology = { ...loadTopology(PAIRS), release };
  const lab = `t${process.pid}-g${suffix}`;
  return createLab(planLab(topology, { lab, era: 'geneve', spareZtunnels }));
}

async function outputOf(lab: Lab, target: string, argv: readonly string[]): Promise<string> {
  return (await execIn(lab, target, argv, 15_000)).stdout;
}

/** Status of a request of the client to a pod, and 0 for no answer. */
async function statusOf(lab: Lab, pod: string): Promise<number> {
  const address = lab.plan.pods.find(({ name }) => name === pod)?.address ?? '';
  const url = `http://${address}:8080/get`;
  const curl = ['curl', '-s', '-m', '3', '-o', '/dev/null', '-w', '%{http_code}', url];
  return Number(await outputOf(lab, 'client', curl));
}

async function until(what: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + 20_000;
  while (!(await what())) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return true;
}

t.test(
  'era geneve: every scenario of the pairs, rules, marks, and the loss of a ztunnel',
  async (t) => {
    await using lab = await startGeneve('1.20', 'c');
    const facts = await holdsWhole(t, lab);
    const tunnelled = facts.connections.flatMap((connection) =>
      connection.sightings.filter(({ interface: name }) => name === 'istioout'),
    );
    t.ok(tunnelled.length > 5, 'captured connections were seen in the tunnel');
    t.ok(
      tunnelled.every(({ frames }) => frames === 1),
      'only the first SYN of each crossed it',
    );

    const arcs = modelMap(lab.plan, facts).tunnels.filter(({ kind }) => kind === 'geneve');
    t.match(
      arcs.find(({ from }) => from === 'node1/istioout'),
      { to: /^ztunnel-node1\.[^/]+\/pistioout$/, label: 'Geneve 1001', text: /only the first SYN/ },
      'a map shows the way to ztunnel from device to device',
    );
    t.match(
      arcs.find(({ from }) => from === 'node2/istioin'),
      { to: /^ztunnel-node2\.[^/]+\/pistioin$/, label: 'Geneve 1000' },
      'and the one that comes in',
    );

    for (const target of ['node1', 'node2', 'ztunnel/node1']) {
      const reading = await readRules(lab, target);
      t.notOk(isDrifted(reading), `${target} has the rules it should have`);
      t.equal(reading.missingRouting.length, 0);
    }
    t.same(await lab.drift(), [], 'nothing else changed');
    t.equal(await statusOf(lab, 'far'), 200);
    const entries = await outputOf(lab, 'node1', ['cat', '/proc/net/nf_conntrack']);
    const table = entries || (await outputOf(lab, 'node1', ['conntrack', '-L', '-p', 'tcp']));
    t.match(table, /mark=528\b/, 'connections of ztunnel are remembered with 0x210');

    await outputOf(lab, 'node1', ['iptables', '-t', 'mangle', '-F', 'ztunnel-PREROUTING']);
    t.ok(isDrifted(await readRules(lab, 'node1')), 'what was flushed is missed');
    t.match(await lab.enrol('client'), { changed: false, repaired: true });
    t.notOk(isDrifted(await readRules(lab, 'node1')), 'and repaired');

    await lab.kill('ztunnel', 'node1');
    t.equal(await statusOf(lab, 'stranger'), 0, 'without a ztunnel nothing passes: fail closed');
    await lab.restart('ztunnel', 'node1');
    t.ok(
      await until(async () => (await statusOf(lab, 'stranger')) === 200),
      'and a new one serves',
    );
  },
);

t.test(
  'era geneve, 1.18: a second ztunnel takes over; without one traffic is direct',
  async (t) => {
    await using lab = await startGeneve('1.18', 'o', true);
    t.equal(await statusOf(lab, 'stranger'), 200);
    const way = () => outputOf(lab, 'node1', ['ip', 'route', 'show', 'table', '101']);
    t.match(await way(), / dev v-ztunnel /);
    await t.rejects(lab.retire('node1'), { code: 'LAB_NO_SPARE' });
    await lab.surge('node1');
    t.match(await way(), / dev z-ztunnel /, 'the newest that is ready is the active one');
    t.notMatch(await way(), /v-ztunnel/);
    await t.rejects(lab.surge('node1'), { code: 'LAB_BUSY' });
    await lab.retire('node1');
    t.match(await way(), / dev z-ztunnel /, 'the end of the old one changes nothing');
    t.equal(await statusOf(lab, 'stranger'), 200);
    const before = await outputOf(lab, 'node1', ['iptables-save']);
    t.match(before, /ztunnel-PREROUTING/);
    await lab.kill('ztunnel', 'node1');
    const lacks = async (command: readonly string[], what: RegExp): Promise<boolean> =>
      !what.test(await outputOf(lab, 'node1', command));
    // The agent takes its work back piece by piece, links last.
    t.ok(await until(() => lacks(['iptables-save'], /ztunnel-/)), 'no rule is left');
    t.ok(await until(() => lacks(['ip', 'link'], /istioin|istioout/)), 'no tunnel is left');
    t.equal(await outputOf(lab, 'node1', ['ip', 'route', 'show', 'table', '101']), '');
    t.equal(await statusOf(lab, 'stranger'), 200, 'fail open');
  },
);
