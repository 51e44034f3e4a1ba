import { realtimeNs } from '../../dataplane/kernel/process.ts';
import type { Plan } from '../plan/plan.ts';
import { AppHosts, commandArgv } from './app-hosts.ts';
import { buildLinks, createNamespaces, fdOf, restoreRules, type NetnsTable } from './build.ts';
import { ChildTable, type Child } from './child-table.ts';
import { findDrift } from './drift.ts';
import { LabError } from './errors.ts';
import type { Progress, ProgressStep } from './lab.ts';
import { Observations } from './observations.ts';
import type { LabPaths } from './paths.ts';
import { programEnv } from './program-env.ts';
import type { StartOrder } from './protocol.ts';

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
  #netns: NetnsTable = new Map();
  state: 'starting' | 'ready' | 'stopping' = 'starting';

  constructor(options: WorldOptions) {
    this.#options = options;
    this.plan = options.order.plan;
    this.paths = options.paths;
    this.children = new ChildTable(options.paths.logs, (child) => this.#noteExit(child));
  }

  /**
   * Builds everything, in the order that lets programs load while links are made, and leaves no
   * moment in which an enrolled pod's app runs without its redirect.
   *
   * @throws LabError, {KernelError}
   */
  async start(): Promise<void> {
    const { plan } = this;
    await this.#step('namespaces', `${plan.netns.length} network namespaces`, () => {
      this.#netns = createNamespaces(plan);
    });
    const apps = new AppHosts({
      plan,
      planFile: this.paths.plan,
      netns: this.#netns,
      children: this.children,
      observations: this.observations,
    });
    const hosts = Promise.all(plan.nodes.map((node) => apps.start(node)));
    hosts.catch(() => {});
    await this.#step('links', `${plan.links.length} links, addresses, routes`, () =>
      buildLinks(plan, this.#netns),
    );
    await this.#step('rules', 'service addresses on every node', () =>
      restoreRules(plan, this.#netns),
    );
    this.#checkBuilt();
    await this.#step('apps', 'apps of the pods', async () => {
      await hosts;
      await Promise.all(plan.nodes.map((node) => apps.startAll(node)));
      await this.#startCommands();
    });
    this.state = 'ready';
  }

  drift(): string[] {
    return findDrift(this.plan, this.#netns);
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

  #checkBuilt(): void {
    const faults = this.drift();
    if (faults.length === 0) return;
    const shown = faults.slice(0, 3).join('; ');
    throw new LabError('LAB_READBACK_DIFFERS', `Cannot start the lab: the kernel has other than planned: ${shown}`, {
      details: { faults },
    });
  }

  #noteExit({ spec, exit }: Child): void {
    if (this.state === 'stopping') return;
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
