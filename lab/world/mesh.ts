import { agentClient, type AgentClient } from '../../dataplane/agent/client.ts';
import type { EnrolRequest, PodRecord, ZtunnelReport } from '../../dataplane/agent/api.ts';
import { addressesOf } from '../plan/families.ts';
import type { NodePlan, Plan, PodPlan } from '../plan/plan.ts';
import { speaksHbone, workloadUid } from '../plan/static-config.ts';
import { agentSpec } from './agent-process.ts';
import { fdOf, type NetnsTable } from './build.ts';
import type { Child, ChildSpec, ChildTable } from './child-table.ts';
import { LabError } from './errors.ts';
import type { EnrolResult, ProgramCommand } from './lab.ts';
import { prepareMeshFiles, writeStaticConfig, type MeshFiles } from './mesh-files.ts';
import { netnsPath, nodeSockets, type LabPaths } from './paths.ts';
import { endOf } from './process-end.ts';
import { until } from './until.ts';
import {
  hasProtocols,
  isZtunnelReady,
  type ZtunnelPod,
  ztunnelPodsOf,
  ztunnelSpec,
} from './ztunnel-process.ts';

const START_TIMEOUT_MS = 60_000;
/** An agent gives up on its ztunnel after 5 s itself; one that is silent for longer hangs. */
const AGENT_TIMEOUT_MS = 15_000;
const LOAD_TIMEOUT_MS = 5_000;
/** Of /64, in base64 as Go writes bytes. */
const IPV6_MASK = Buffer.alloc(16).fill(0xff, 0, 8).toString('base64');

export interface MeshOptions {
  readonly plan: Plan;
  readonly paths: LabPaths;
  readonly netns: NetnsTable;
  readonly children: ChildTable;
  readonly ztunnel?: ProgramCommand;
  readonly withoutEvidence: boolean;
}

/**
 * The ambient mesh of a lab: an agent and a ztunnel on each node, and who is enrolled. The part of
 * the API server (telling agents of pods) and of the CNI (telling them of new ones) is played here.
 */
export class Mesh {
  readonly #options: MeshOptions;
  readonly #enrolled: Set<string>;
  readonly #files: MeshFiles;
  /** The ztunnel pods of era geneve, by node. */
  readonly #ztunnels = new Map<string, ZtunnelReport>();
  /** Where new connections of a node go, when it is not its first place. */
  readonly #active = new Map<string, ZtunnelPod>();
  /** Annotations by uid of the pod, of pods that got others. */
  readonly #annotations = new Map<string, PodPlan['annotations']>();
  /** One change at a time: each rewrites the file that all ztunnels read. */
  #last: Promise<unknown> = Promise.resolve();

  /** Afterwards files and folders are there; nothing runs. */
  constructor(options: MeshOptions) {
    const { plan, paths } = options;
    this.#options = options;
    this.#enrolled = new Set(plan.pods.filter((pod) => pod.enrolled).map(({ uid }) => uid));
    this.#files = prepareMeshFiles(plan, paths, this.#enrolled);
  }

  /** Annotations that a pod has now. */
  annotationsOf({ uid, annotations }: PodPlan): PodPlan['annotations'] {
    return this.#annotations.get(uid) ?? annotations;
  }

  /** They count from the next time on that the pod's agent is told of it. */
  annotate(pod: PodPlan, annotations: PodPlan['annotations']): void {
    this.#annotations.set(pod.uid, annotations);
  }

  isEnrolled(uid: string): boolean {
    return this.#enrolled.has(uid);
  }

  /** Starts agent (once `ruled`) and ztunnel of a node; they are not ready yet. */
  async start(node: NodePlan, ruled: Promise<void>): Promise<void> {
    await Promise.all([
      ruled.then(() => this.#startChild(this.#agentSpec(node))),
      this.#startZtunnel(node, this.#activeOf(node)),
    ]);
  }

  /**
   * Tells a node's agent of its pods, and of those that start in the mesh as the CNI does: when
   * this resolves their redirect is in and their ztunnel serves them. No app of theirs runs before.
   *
   * @throws LabError LAB_PROCESS_EXITED, LAB_NOT_READY, {AgentRequestError}
   */
  async enrolAtStart(node: NodePlan): Promise<void> {
    if (this.#isNodeLevel) await this.#tellReady(node);
    const agent = await this.#agentReady(node);
    const pods = this.#options.plan.pods.filter((pod) => pod.node === node.name);
    await agent.announceAll(pods.map((pod) => recordOf(this.#asItIs(pod), pod.enrolled)));
    await agent.cmdAddAll(pods.filter((pod) => pod.enrolled).map(cmdAddOf));
    await this.#ztunnelReady(node);
  }

  /** Sets the pod's label, as a user of a cluster would, and waits until all know of it. */
  enrol(pod: PodPlan): Promise<EnrolResult> {
    return this.#inTurn(() => this.#change(pod, true));
  }

  leave(pod: PodPlan): Promise<EnrolResult> {
    return this.#inTurn(() => this.#change(pod, false));
  }

  /** Ends a node's ztunnel or agent if it runs, starts it anew and waits until it is ready. */
  async restart(kind: 'ztunnel' | 'agent', node: NodePlan): Promise<void> {
    const pod = this.#activeOf(node);
    const running = this.#options.children.get(kind === 'agent' ? `agent-${node.name}` : pod.name);
    if (running && running.state !== 'exited') {
      running.process.kill('SIGKILL');
      await running.exited;
    }
    if (kind === 'ztunnel') await this.#startZtunnel(node, pod);
    else await this.#startChild(this.#agentSpec(node));
    if (this.#isNodeLevel) await this.#tellReady(node);
    if (kind === 'agent') await this.#announceAll(node);
    await this.#ztunnelReady(node);
  }

  /** What the node's ztunnel is called that new connections go to. */
  activeZtunnel(node: NodePlan): string {
    return this.#activeOf(node).name;
  }

  /**
   * Starts a second ztunnel beside a node's first, as a rolling update with `maxSurge: 1` does. When
   * this resolves it is ready, and in era geneve the one that the node redirects to.
   * @throws LabError LAB_NO_SPARE when the plan has no place for it, LAB_BUSY when both run
   */
  async surge(node: NodePlan): Promise<void> {
    const before = this.#activeOf(node);
    const next = ztunnelPodsOf(node).find(({ name }) => name !== before.name);
    if (next === undefined) {
      const message = `Cannot start a second ztunnel on ${node.name}: the plan has no place for it`;
      throw new LabError('LAB_NO_SPARE', message);
    }
    if (this.#isRunning(next.name)) {
      const message = `Cannot start a second ztunnel on ${node.name}: ${next.name} runs already`;
      throw new LabError('LAB_BUSY', message, { hint: 'End it first: retire' });
    }
    await this.#startZtunnel(node, next);
    this.#active.set(node.name, next);
    if (this.#isNodeLevel) await this.#tellReady(node);
    else await this.#ztunnelReady(node);
  }

  /** Ends, with SIGTERM, the older of a node's two ztunnels; resolves when it has let go. */
  async retire(node: NodePlan): Promise<void> {
    const { name: active } = this.#activeOf(node);
    const old = ztunnelPodsOf(node).find(({ name }) => name !== active && this.#isRunning(name));
    if (old === undefined) {
      const message = `Cannot end the older ztunnel of ${node.name}: only ${active} runs`;
      throw new LabError('LAB_NO_SPARE', message);
    }
    const child = this.#options.children.get(old.name)!;
    child.process.kill('SIGTERM');
    await child.exited;
  }

  #activeOf(node: NodePlan): ZtunnelPod {
    return this.#active.get(node.name) ?? ztunnelPodsOf(node)[0];
  }

  #isRunning(name: string): boolean {
    const child = this.#options.children.get(name);
    return child !== undefined && child.state !== 'exited';
  }

  async #startZtunnel(node: NodePlan, pod: ZtunnelPod): Promise<void> {
    const { plan, paths, ztunnel: foreign, withoutEvidence } = this.#options;
    const files = { paths, files: this.#files, foreign, withoutEvidence };
    const spec = ztunnelSpec(plan, node, pod, files);
    this.#follow(node, pod, await this.#startChild(spec));
  }

  get #isNodeLevel(): boolean {
    return this.#options.plan.era === 'geneve';
  }

  /** In era geneve the agent hears of its ztunnel from the API server; here, from us. */
  #follow(node: NodePlan, { name, netns, address }: ZtunnelPod, child: Child): void {
    if (!this.#isNodeLevel) return;
    const report = {
      uid: `${name}-${child.process.pid}`,
      netns: netnsPath(netns),
      address,
      createdMs: Date.now(),
      ready: true,
    };
    this.#ztunnels.set(node.name, report);
    void child.exited.then(async () => {
      if (this.#ztunnels.get(node.name) === report) this.#ztunnels.delete(node.name);
      const agent = agentClient(nodeSockets(node.name).plugin);
      // An agent that does not run, or is ended together with the lab, has nothing to be told.
      await agent.ztunnel({ ...report, ready: false, gone: true }).catch(() => undefined);
    });
  }

  /** The kubelet's part: the pod is ready when its readiness probe says so. */
  async #tellReady(node: NodePlan): Promise<void> {
    await this.#ztunnelReady(node);
    const report = this.#ztunnels.get(node.name);
    const agent = agentClient(nodeSockets(node.name).plugin);
    await this.#untilReady(`agent-${node.name}`, async () => {
      await agent.status();
      return true;
    });
    if (report) await agent.ztunnel(report);
  }

  async #change(pod: PodPlan, enrolled: boolean): Promise<EnrolResult> {
    const result = { pod: `${pod.namespace}/${pod.name}`, enrolled };
    const agent = agentClient(nodeSockets(pod.node).plugin);
    const signal = AbortSignal.timeout(AGENT_TIMEOUT_MS);
    const answered = <T>(work: Promise<T>): Promise<T> =>
      work.catch((error: unknown) => {
        throw signal.aborted ? silentAgent(pod.node, error) : error;
      });
    if (this.isEnrolled(pod.uid) === enrolled) {
      // Asking for what is there already repairs what is wrong with it.
      const report = enrolled ? await answered(agent.reconcile({ signal })) : undefined;
      return { ...result, changed: false, repaired: report?.pods[pod.uid] === 'repaired' };
    }
    const { plan } = this.#options;
    await answered(agent.announce(recordOf(this.#asItIs(pod), enrolled), { signal }));
    // An agent that has no ztunnel waits for one; here nobody brings a dead one back meanwhile.
    const request = enrolmentOf(this.#asItIs(pod));
    if (enrolled) await this.#unlessLost(pod.node, answered(agent.enrol(request, { signal })));
    else await answered(agent.leave({ uid: pod.uid }, { signal }));
    if (enrolled) this.#enrolled.add(pod.uid);
    else this.#enrolled.delete(pod.uid);
    writeStaticConfig(plan, this.#files, this.#enrolled);
    const pods = plan.nodes.flatMap(ztunnelPodsOf);
    await Promise.all(pods.map((ztunnel) => this.#untilLoaded(ztunnel)));
    return { ...result, changed: true };
  }

  async #unlessLost<T>(node: string, work: Promise<T>): Promise<T> {
    const place = this.#options.plan.nodes.find(({ name }) => name === node);
    const ztunnel = place && this.#options.children.get(this.#activeOf(place).name);
    const lost = ztunnel?.exited.then(() => {
      throw (
        endOf(ztunnel, this.#options.paths.logs) ?? new Error(`the ztunnel of ${node} has ended`)
      );
    });
    lost?.catch(() => undefined);
    work.catch(() => undefined);
    return lost ? Promise.race([work, lost]) : work;
  }

  /** A ztunnel that does not run will read the file when it starts. */
  async #untilLoaded(ztunnel: ZtunnelPod): Promise<void> {
    const { plan, netns, children } = this.#options;
    const wished = new Map(
      plan.pods.map(
        (pod) =>
          [workloadUid(pod), speaksHbone(pod, this.isEnrolled(pod.uid)) ? 'HBONE' : 'TCP'] as const,
      ),
    );
    const child = children.get(ztunnel.name);
    if (!child || child.state === 'exited') return;
    const fd = fdOf(netns, ztunnel.netns);
    const what = `${ztunnel.name} has loaded the workloads`;
    const giveUp = (): Error | undefined => endOf(child, this.#options.paths.logs);
    await until(what, () => hasProtocols(fd, wished), { timeoutMs: LOAD_TIMEOUT_MS, giveUp });
  }

  async #agentReady(node: NodePlan): Promise<AgentClient> {
    const agent = agentClient(nodeSockets(node.name).plugin);
    await this.#untilReady(`agent-${node.name}`, async () => {
      const { ztunnel } = await agent.status();
      return ztunnel.connected;
    });
    return agent;
  }

  async #ztunnelReady(node: NodePlan): Promise<void> {
    const { name, netns } = this.#activeOf(node);
    const fd = fdOf(this.#options.netns, netns);
    await this.#untilReady(name, () => isZtunnelReady(fd));
  }

  async #untilReady(name: string, ask: () => Promise<boolean>): Promise<void> {
    const child = this.#options.children.get(name);
    if (!child)
      throw new LabError('LAB_PROCESS_EXITED', `Cannot wait for ${name}: it was never started`);
    const giveUp = (): Error | undefined => endOf(child, this.#options.paths.logs);
    await until(`${name} is ready`, ask, { timeoutMs: START_TIMEOUT_MS, giveUp });
    child.state = 'ready';
  }

  /** An agent forgets everything when it ends; the kernel and ztunnel do not. */
  async #announceAll(node: NodePlan): Promise<void> {
    const agent = await this.#agentReady(node);
    for (const pod of this.#options.plan.pods) {
      if (pod.node !== node.name) continue;
      const enrolled = this.isEnrolled(pod.uid);
      await agent.announce(recordOf(this.#asItIs(pod), enrolled));
      if (enrolled) await agent.enrol(enrolmentOf(this.#asItIs(pod)));
    }
  }

  #startChild(spec: Omit<ChildSpec, 'netnsFd'>): Promise<Child> {
    const { children, netns } = this.#options;
    return children.start({ ...spec, netnsFd: fdOf(netns, spec.netns) });
  }

  #agentSpec(node: NodePlan): Omit<ChildSpec, 'netnsFd'> {
    return agentSpec(this.#options.plan, node);
  }

  #asItIs(pod: PodPlan): PodPlan {
    return { ...pod, annotations: this.annotationsOf(pod) };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

function recordOf(pod: PodPlan, ambient: boolean): PodRecord {
  const { uid, name, namespace, serviceAccount, annotations } = pod;
  return { uid, name, namespace, serviceAccount, annotations, ambient };
}

function enrolmentOf(pod: PodPlan): EnrolRequest {
  const { uid, name, namespace, serviceAccount, annotations } = pod;
  const netns = netnsPath(pod.netns);
  return { uid, name, namespace, serviceAccount, annotations, netns, ips: addressesOf(pod) };
}

function cmdAddOf(pod: PodPlan): Parameters<AgentClient['cmdAdd']>[0] {
  return {
    Netns: netnsPath(pod.netns),
    PodName: pod.name,
    PodNamespace: pod.namespace,
    IPs: addressesOf(pod).map((IP) => {
      return { Address: { IP, Mask: IP.includes(':') ? IPV6_MASK : '////8A==' } };
    }),
  };
}

function silentAgent(node: string, cause: unknown): LabError {
  const message = `Cannot reach the agent of "${node}": no answer within ${AGENT_TIMEOUT_MS} ms`;
  const hint = 'It runs and hangs, or the machine is very busy: npm run lab -- diagnose';
  return new LabError('LAB_PROGRAM_SILENT', message, { hint, cause });
}
