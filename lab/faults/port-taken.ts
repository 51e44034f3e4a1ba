import { finishInPlace, inPlace } from '../world/in-place.ts';
import { LabError } from '../world/errors.ts';
import type { Lab } from '../world/lab.ts';
import { enrolledPod, needsRulesInPods } from './in-pod.ts';
import type { PodFault } from './fault.ts';
import { deleteEmptyTables } from './tables.ts';

const PORT = 15008;
const PATIENCE_MS = 5_000;
/** What the listener is called in `ss`, so that it is told from ztunnel. */
const NAME = 'legacy-app';
const LISTENER = `process.title = '${NAME}'; require('net').createServer().listen(${PORT}, '0.0.0.0');`;

/** The app listens on a port that is ztunnel's, and was there first. */
export const portTaken: PodFault = {
  name: 'port-taken',
  kind: 'pod',
  title: 'The app listens on port 15008 itself, and was there before ztunnel',
  seen:
    'Enrolling the pod fails ("Address already in use"), its rules are in all the same: every ' +
    'connection of the pod is refused (curl: exit 7). ztunnel of the node is not ready.',
  field: 'Apps that bring ports of their own in 15000 to 15090; a sidecar left in the pod.',
  refusal: needsRulesInPods,
  suits: enrolledPod,
  prepare: async () => ({}),
  async apply({ lab, at: { pod } }) {
    await lab.leave(pod.netns);
    await deleteEmptyTables(lab, pod.netns);
    await startListener(lab, pod.netns);
    try {
      await lab.enrol(pod.netns);
    } catch (error) {
      if (error instanceof Error && /in use/i.test(error.message)) return;
      throw error;
    }
    const message = `Cannot break "port-taken": ztunnel listens on ${PORT} beside the app`;
    throw new LabError('LAB_STUCK', message);
  },
  async mend({ lab, at: { pod } }) {
    await stopListener(lab, pod.netns);
    await lab.enrol(pod.netns);
  },
};

/** A child of the lab's PID 1, in the pod's namespace: it ends with the lab, not with us. */
async function startListener(lab: Lab, netns: string): Promise<void> {
  const script = 'setsid "$@" </dev/null >/dev/null 2>&1 &';
  const argv = ['sh', '-c', script, 'sh', process.execPath, '-e', LISTENER] as const;
  await finishInPlace(lab, netns, argv, { timeoutMs: PATIENCE_MS });
  const deadline = performance.now() + PATIENCE_MS;
  while ((await listenersOf(lab, netns)).length === 0) {
    if (performance.now() > deadline) {
      throw new LabError('LAB_STUCK', `Cannot start a listener on ${PORT} in ${netns}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function stopListener(lab: Lab, netns: string): Promise<void> {
  const pids = await listenersOf(lab, netns);
  if (pids.length > 0) await inPlace(lab, netns, ['kill', '-KILL', ...pids]);
  const deadline = performance.now() + PATIENCE_MS;
  while ((await listenersOf(lab, netns)).length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Pids inside the lab of who listens on the port under our name, by the kernel's word. */
async function listenersOf(lab: Lab, netns: string): Promise<readonly string[]> {
  const text = await inPlace(lab, netns, ['ss', '-H', '-ltnp', `sport = :${PORT}`]);
  const owners = [...text.matchAll(/"([^"]*)",pid=(\d+)/g)];
  return owners.filter(([, name]) => name === NAME).map(([, , pid = '']) => pid);
}
