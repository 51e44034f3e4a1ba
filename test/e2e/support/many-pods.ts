import { existsSync } from 'node:fs';
import type { Test } from 'tap';
import type { PodStatus } from '../../../dataplane/agent/api.ts';
import { podsTopology } from '../../../lab/bench/build/ours.ts';
import { untilNamespacesFreed } from '../../../lab/bench/build/namespaces-freed.ts';
import { planLab } from '../../../lab/plan/plan-lab.ts';
import { createLab } from '../../../lab/world/client.ts';
import type { Lab } from '../../../lab/world/lab.ts';
import { nodeSockets } from '../../../lab/world/paths.ts';
import { parseTopology } from '../../../topologies/load.ts';
import { execIn } from './lab.ts';

const START_TIMEOUT_MS = 300_000;
/** Ports of ztunnel in a pod, then the app's: as `ss` writes them. */
const LISTENERS = [15001, 15006, 15008, 8080];

/** Builds a lab of that many pods, looks at each of them from outside, and removes it. */
export async function checkManyPods(t: Test, pods: number): Promise<void> {
  const name = `many${process.pid}`;
  const plan = planLab(parseTopology(podsTopology(name, pods, 'inpod-redirect'), `${name}.yaml`));
  const lab = await createLab(plan, { startTimeoutMs: START_TIMEOUT_MS });
  try {
    await checkAgents(t, lab, pods);
    await checkEachPod(t, lab, pods);
    t.same(await lab.drift(), [], 'links, addresses, routes, settings and rules are as planned');
    await checkFarPods(t, lab, pods);
  } finally {
    await lab.down();
  }
  await untilNamespacesFreed();
  t.notOk(existsSync(lab.directory), 'nothing is left of it');
}

/** The agents' word: rules in and read back, ztunnel's ack. */
async function checkAgents(t: Test, lab: Lab, pods: number): Promise<void> {
  const states = await Promise.all(
    lab.plan.nodes.map(async (node) => {
      const { plugin } = nodeSockets(node.name);
      const argv = ['curl', '-s', '--unix-socket', plugin, 'http://agent/pods'];
      return JSON.parse((await execIn(lab, node.name, argv)).stdout) as PodStatus[];
    }),
  );
  const good = states
    .flat()
    .filter(({ state, acked, rules }) => state === 'enrolled' && acked && rules === 'applied');
  t.equal(good.length, pods, 'each pod is enrolled, acked, its rules applied');
}

/** The kernel's word on every pod: who listens there, and the redirect's rules. */
async function checkEachPod(t: Test, lab: Lab, pods: number): Promise<void> {
  const look = 'ss -Hltn | wc -l; ss -Hltn; nft list table ip nat 2>/dev/null | grep -c redirect';
  const script = `for f in /run/netns/*.demo; do echo "pod $(basename $f)"; nsenter --net=$f sh -c '${look}'; done`;
  const { stdout } = await execIn(lab, lab.plan.nodes[0]!.name, ['sh', '-c', script], 120_000);
  const parts = stdout.split(/^pod /m).slice(1);
  t.equal(parts.length, pods, 'each pod has a netns');
  const listen = parts.filter((part) => LISTENERS.every((port) => part.includes(`:${port} `)));
  t.equal(listen.length, pods, 'ztunnel and the app listen in each pod');
  const counts = new Set(parts.map((part) => part.trim().split('\n').at(-1)));
  t.equal(counts.size, 1, `each pod has as many redirects: ${[...counts].join()}`);
  t.not([...counts][0], '0');
}

/** The first pod reaches the last ones: through both ztunnels, by their own identities. */
async function checkFarPods(t: Test, lab: Lab, pods: number): Promise<void> {
  for (const number of [2, Math.ceil(pods / 2), pods]) {
    const pod = lab.plan.pods.find((one) => one.name === `pod${number}`)!;
    const url = `http://${pod.address}:8080/get`;
    const done = await execIn(lab, 'pod1', ['curl', '-s', '-m', '10', '-w', '%{http_code}', url]);
    t.match(done.stdout, /200$/, `pod1 reaches ${pod.name}`);
  }
}
