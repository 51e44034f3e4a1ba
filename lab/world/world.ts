import { realtimeNs } from '../../dataplane/kernel/process.ts';
import type { Recording } from '../capture/layout.ts';
import { findNode, findPod } from '../plan/names.ts';
import type { NetnsPlan, Plan, PodPlan } from '../plan/plan.ts';
import { asksForAmbient, namespaceModes } from '../plan/pods.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import { injectedPods } from '../plan/sidecars.ts';
import type { CountedRule } from '../policy/read-back.ts';
import { AppHosts, commandArgv } from './app-hosts.ts';
import { buildLinks, createNamespaces, fdOf, restoreRules } from './build.ts';
import { ChildTable, type Child } from './child-table.ts';
import { CaptureSession } from './capture-session.ts';
import { findDrift } from './drift.ts';
import { LabError } from './errors.ts';
import type {
  CaptureStartOptions,
  EnrolResult,
  PodChange,
  PodChanged,
  PolicyChange,
  ProcessKind,
  Progress,
  ProgressStep,
} from './lab.ts';
import { Mesh } from './mesh.ts';
import { NetworkPolicies } from './network-policies.ts';
import { Observations } from './observations.ts';
import type { LabPaths } from './paths.ts';
import { endOf } from './process-end.ts';
import { programEnv } from './program-env.ts';
import type { StartOrder } from './protocol.ts';
import { Sidecars } from './sidecars.ts';
import { findRuleDrift } from './rule-drift.ts';

export interface WorldOptions {
  readonly order: StartOrder;
  readonly paths: LabPaths;
  readonly onProgress: (progress: Progress) => void;
}

/** The living world as its supervisor holds it: namespaces, programs, what the apps saw. */
export class World {
  readonly plan: Plan;
  readonly paths: LabPaths;
  readonly startedNs = realtimeNs();
  readonly observations = new Observations();
  readonly children: ChildTable;
  readonly #options: WorldOptions;
  readonly #began = performance.now();
  readonly #apps: AppHosts;
  readonly #netns = new Map<string, number>();
  #mesh: Mesh | undefined;
  #policies: NetworkPolicies | undefined;
  #sidecars: Sidecars | undefined;
  #capture: CaptureSession | undefined;
  #isCaptureBusy = false;
  /** Told of the first program that ended while the lab was being built. */
  #loseProgram: (fault: Error) => void = () => {};
  state: 'starting' | 'ready' | 'stopping' = 'starting';

  constructor(options: WorldOptions) {
    this.#options = options;
    this.plan = options.order.plan;
    this.paths = options.paths;
    this.children = new ChildTable(options.paths.logs, (child) => this.#noteExit(child));
    this.#apps = new AppHosts({
      plan: this.plan,
      planFile: this.paths.plan,
      netnsFd: (name) => fdOf(this.#netns, name),
      children: this.children,
      observations: this.observations,
    });
  }

  /**
   * Builds everything, in the order that lets programs load while links are made, and leaves no
   * moment in which an enrolled pod's app runs without its redirect. A program of the mesh or an app
   * host that ends meanwhile ends the build at once: nobody could wait for it with success.
   *
   * @throws LabError LAB_PROCESS_KILLED, LAB_PROCESS_EXITED and others, {KernelError}
   */
  async start(): Promise<void> {
    const lost = new Promise<never>((_, reject) => {
      this.#loseProgram = reject;
    });
    await Promise.race([this.#build(), lost]);
    this.state = 'ready';
  }

  async #build(): Promise<void> {
    const { plan } = this;
    // Namespaces in which programs live, or that have rules, come first: those load meanwhile.
    const isPod = ({ role, restore, restoreIpv6 }: NetnsPlan): boolean =>
      role === 'pod' && restore === undefined && restoreIpv6 === undefined;
    let ruled = Promise.resolve();
    let loaded = Promise.resolve();
    await this.#step('namespaces', `${plan.netns.length} network namespaces`, async () => {
      await createNamespaces(
        plan.netns.filter((netns) => !isPod(netns)),
        this.#netns,
      );
      ruled = this.#loadRules();
      ruled.catch(() => {});
      loaded = this.#startPrograms(ruled);
      loaded.catch(() => {});
      await createNamespaces(plan.netns.filter(isPod), this.#netns);
    });
    await this.#step('links', `${plan.links.length} links, addresses, routes`, () =>
      buildLinks(plan, this.#netns),
    );
    await this.#step('rules', 'service addresses on every node', () => ruled);
    const checked = this.#checkBuilt();
    checked.catch(() => {});
    await this.#step('processes', `programs of ${plan.nodes.length} nodes`, () => loaded);
    const mesh = this.#mesh;
    if (mesh) {
      const count = plan.pods.filter((pod) => pod.enrolled).length;
      await this.#step('enrol', `${count} pods enrolled before their apps start`, async () => {
        await Promise.all(plan.nodes.map((node) => mesh.enrolAtStart(node)));
      });
    }
    await checked;
    await this.#startSidecars();
    await this.#step('apps', 'apps of the pods', async () => {
      await Promise.all(plan.nodes.map((node) => this.#apps.startAll(node)));
      await this.#startCommands();
    });
  }

  /** The primary CNI's part is there before the mesh, as on a node that boots. */
  async #loadRules(): Promise<void> {
    // Loading flushes what is there: agents, which add to the rules of their nodes, come after it.
    const policies = new NetworkPolicies(this.plan, this.#netns);
    this.#policies = policies;
    await restoreRules(this.plan, this.#netns);
    await policies.start();
  }

  /** New certificates for all sidecars; open connections go on. @throws LabError LAB_NOT_READY */
  async rotateSidecars(): Promise<void> {
    await this.#sidecars?.rotate();
  }

  /** No connection of before is left in any sidecar. @throws LabError LAB_NOT_READY */
  async renewSidecars(): Promise<void> {
    await this.#sidecars?.renew();
  }

  isEnrolled(uid: string): boolean {
    return this.#mesh?.isEnrolled(uid) ?? false;
  }

  /**
   * @throws {PlanError} LAB_UNKNOWN_POD, LabError LAB_NO_MESH, LAB_BAD_CHOICE for a pod with a sidecar,
   *   {AgentRequestError}
   */
  enrol(pod: string): Promise<EnrolResult> {
    const found = findPod(this.plan, pod);
    if (found.sidecar === undefined) return this.#needMesh().enrol(found);
    const text = `Cannot enrol "${pod}" in ambient: it has a sidecar, which keeps it out`;
    return Promise.reject(new LabError('LAB_BAD_CHOICE', text));
  }

  leave(pod: string): Promise<EnrolResult> {
    return this.#needMesh().leave(findPod(this.plan, pod));
  }

  /** The policies are as changed, and enforced so. @throws {PlanError}, LabError LAB_UNKNOWN_POLICY */
  async changePolicies(change: PolicyChange): Promise<void> {
    const policies = this.#policies!;
    switch (change.kind) {
      case 'apply':
        return policies.apply(change.policy);
      case 'delete':
        return policies.delete(change.namespace, change.name);
      case 'label': {
        const { uid } = findPod(this.plan, change.pod);
        return policies.label(uid, withChanges(policies.labelsOf(uid), change.labels));
      }
    }
  }

  labelsOf(pod: PodPlan): Readonly<Record<string, string>> {
    return this.#policies?.labelsOf(pod.uid) ?? pod.labels;
  }

  annotationsOf(pod: PodPlan): Readonly<Record<string, string>> {
    return this.#mesh?.annotationsOf(pod) ?? pod.annotations;
  }

  get networkPolicies(): readonly NetworkPolicy[] {
    return this.#policies?.policies ?? [];
  }

  /** @throws {PlanError} LAB_UNKNOWN_POD, LabError LAB_NO_MESH, {AgentRequestError} */
  async changePod({ pod: word, labels, annotations }: PodChange): Promise<PodChanged> {
    const pod = findPod(this.plan, word);
    const changed: PodChanged['changed'][number][] = [];
    const before = { ...pod, labels: this.labelsOf(pod), annotations: this.annotationsOf(pod) };
    if (!isSame(before.labels, labels)) changed.push('labels');
    if (!isSame(before.annotations, annotations)) changed.push('annotations');
    if (changed.includes('labels')) await this.#policies!.label(pod.uid, labels);
    this.#mesh?.annotate(pod, annotations);
    const mode = namespaceModes(this.plan.objects).get(pod.namespace);
    const isAsked = asksForAmbient({ ...pod, labels, annotations }, mode);
    if (isAsked === asksForAmbient(before, mode)) return { changed };
    const { changed: hasMoved } = await (isAsked ? this.enrol(word) : this.leave(word));
    return hasMoved ? { changed, mesh: isAsked ? 'joined' : 'left' } : { changed };
  }

  /** @throws {PlanError} LAB_UNKNOWN_NODE */
  policyRules(node: string): Promise<readonly CountedRule[]> {
    return this.#policies!.count(findNode(this.plan, node).name);
  }

  /** @throws {PlanError} LAB_UNKNOWN_NODE, LabError LAB_PROCESS_EXITED when it does not run */
  kill(kind: ProcessKind, node: string, signal: NodeJS.Signals): void {
    const place = findNode(this.plan, node);
    const active = kind === 'ztunnel' ? this.#mesh?.activeZtunnel(place) : undefined;
    const name = active ?? `${kind}-${place.name}`;
    const child = this.children.get(name);
    if (child && child.state !== 'exited' && child.process.kill(signal)) return;
    throw new LabError('LAB_PROCESS_EXITED', `Cannot send ${signal} to ${name}: it does not run`);
  }

  async restart(kind: ProcessKind, node: string): Promise<void> {
    const place = findNode(this.plan, node);
    if (kind !== 'app-host') return this.#needMesh().restart(kind, place);
    await this.#apps.restart(place);
  }

  /** @throws {PlanError} LAB_UNKNOWN_NODE, LabError LAB_NO_SPARE, LAB_BUSY */
  surge(node: string): Promise<void> {
    return this.#needMesh().surge(findNode(this.plan, node));
  }

  /** @throws {PlanError} LAB_UNKNOWN_NODE, LabError LAB_NO_SPARE */
  retire(node: string): Promise<void> {
    return this.#needMesh().retire(findNode(this.plan, node));
  }

  /** @throws LabError LAB_BUSY while another recording runs */
  async startCapture(directory: string, options: CaptureStartOptions): Promise<void> {
    if (this.#capture || this.#isCaptureBusy) throw this.#busyCapture();
    this.#isCaptureBusy = true;
    try {
      const { plan, paths, children } = this;
      const owner = { plan, paths, children, netns: this.#netns };
      this.#capture = await CaptureSession.start(owner, directory, options);
    } finally {
      this.#isCaptureBusy = false;
    }
  }

  /** @throws LabError LAB_NO_CAPTURE when none runs, {RecorderError} */
  async stopCapture(): Promise<Recording> {
    const capture = this.#capture;
    if (!capture) throw new LabError('LAB_NO_CAPTURE', 'Cannot stop the capture: none runs');
    this.#capture = undefined;
    return capture.stop();
  }

  captureStatus(): ReturnType<CaptureSession['status']> {
    return this.#capture?.status();
  }

  /** What the kernel has that differs from the plan, start-up rules included. */
  async drift(): Promise<string[]> {
    const ruleFaults = await findRuleDrift(this.plan, this.#netns);
    const policyFaults = (await this.#policies?.drift()) ?? [];
    return [...(await findDrift(this.plan, this.#netns)), ...ruleFaults, ...policyFaults];
  }

  /** Finishes what would be lost; the kernel does the rest. */
  async stop(): Promise<void> {
    this.state = 'stopping';
    if (this.#capture) await this.stopCapture().catch(() => undefined);
  }

  async #startPrograms(ruled: Promise<void>): Promise<void> {
    const { plan, paths, children } = this;
    const { ztunnel, withoutMesh, withoutEvidence } = this.#options.order;
    if (!withoutMesh) {
      const netns = this.#netns;
      this.#mesh = new Mesh({ plan, paths, children, netns, ztunnel, withoutEvidence });
    }
    const mesh = this.#mesh;
    // App hosts last: nobody waits for them until all pods are enrolled.
    await Promise.all([
      ...(mesh ? plan.nodes.map((node) => mesh.start(node, ruled)) : []),
      ...plan.nodes.map((node) => this.#apps.start(node)),
    ]);
  }

  /** They serve before any app of theirs runs, as with holdApplicationUntilProxyStarts. */
  async #startSidecars(): Promise<void> {
    const { plan, paths, children } = this;
    const count = injectedPods(plan).length;
    if (count === 0) return;
    const { withoutEvidence } = this.#options.order;
    const netns = this.#netns;
    const sidecars = new Sidecars({ plan, paths, children, netns, withoutEvidence });
    this.#sidecars = sidecars;
    await this.#step('sidecars', `${count} sidecars`, () => sidecars.start());
  }

  async #startCommands(): Promise<void> {
    for (const pod of this.plan.pods) {
      for (const [index, app] of pod.apps.entries()) {
        if (app.kind !== 'command') continue;
        await this.children.start({
          kind: 'command',
          name: `${pod.netns}-${index}`,
          node: pod.node,
          netns: pod.netns,
          netnsFd: fdOf(this.#netns, pod.netns),
          argv: commandArgv(pod, app.argv),
          env: programEnv(app.env),
        });
      }
    }
  }

  async #checkBuilt(): Promise<void> {
    const faults = await findDrift(this.plan, this.#netns);
    if (faults.length === 0) return;
    const shown = faults.slice(0, 3).join('; ');
    throw new LabError(
      'LAB_READBACK_DIFFERS',
      `Cannot start the lab: the kernel has other than planned: ${shown}`,
      {
        details: { faults },
      },
    );
  }

  #needMesh(): Mesh {
    if (this.#mesh) return this.#mesh;
    throw new LabError(
      'LAB_NO_MESH',
      `Cannot do this: lab "${this.plan.lab}" was started without a mesh`,
    );
  }

  #busyCapture(): LabError {
    const where = this.#capture?.directory ?? 'a directory';
    return new LabError('LAB_BUSY', `Cannot start a capture: one is being written to "${where}"`, {
      hint: 'Stop that one first',
    });
  }

  #noteExit(child: Child): void {
    if (this.state === 'stopping') return;
    const { spec, exit } = child;
    const fault = endOf(child, this.paths.logs);
    if (fault && this.state === 'starting' && spec.kind !== 'command') this.#loseProgram(fault);
    const how = exit?.signal ?? `exit code ${exit?.code ?? '?'}`;
    process.stderr.write(`${new Date().toISOString()} ${spec.name} ended: ${how}\n`);
  }

  async #step(step: ProgressStep, text: string, work: () => void | Promise<void>): Promise<void> {
    const tell = (state: Progress['state']): void =>
      this.#options.onProgress({ step, state, text, ms: performance.now() - this.#began });
    tell('started');
    await work();
    tell('done');
  }
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function withChanges(
  labels: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const all = Object.entries({ ...labels, ...changes });
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== null));
}
