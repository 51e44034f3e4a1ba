import { hasIpv6 } from '../plan/families.ts';
import type { AppPlan, NodePlan, Plan, PodPlan } from '../plan/plan.ts';
import type { AppHostOrder, AppHostReport, AppPod } from './app-messages.ts';
import type { Child, ChildTable } from './child-table.ts';
import { LabError } from './errors.ts';
import type { Observations } from './observations.ts';
import { programEnv } from './program-env.ts';
import { programArgv } from './programs.ts';

interface Pending {
  resolve(): void;
  reject(error: Error): void;
}

export interface AppHostsOptions {
  readonly plan: Plan;
  readonly planFile: string;
  readonly netnsFd: (netns: string) => number;
  readonly children: ChildTable;
  readonly observations: Observations;
}

/**
 * The app hosts of all nodes, and which pod's apps run in which. The apps of `outside` live in the
 * first node's host; their sockets are in the namespace `outside` all the same.
 */
export class AppHosts {
  readonly #options: AppHostsOptions;
  readonly #hosts = new Map<string, Child>();
  readonly #pending = new Map<string, Pending>();

  constructor(options: AppHostsOptions) {
    this.#options = options;
  }

  /** Starts a node's host; it serves nobody yet. */
  async start(node: NodePlan): Promise<void> {
    const { children, netnsFd, planFile } = this.#options;
    const child = await children.start({
      kind: 'app-host',
      name: `app-host-${node.name}`,
      node: node.name,
      netns: node.name,
      netnsFd: netnsFd(node.name),
      argv: [...programArgv('app-host'), 'serve', planFile],
      env: programEnv(),
      ipc: true,
    });
    this.#hosts.set(node.name, child);
    child.process.on('message', (report) => this.#hear(child, report as AppHostReport));
    void child.exited.then(() => this.#lose(node.name));
    await this.#wait(hostKey(node.name));
  }

  /** Starts the built-in apps of all pods of a node, and of `outside` with the first node. */
  async startAll(node: NodePlan): Promise<void> {
    const { plan } = this.#options;
    const pods = plan.pods
      .filter((pod) => pod.node === node.name)
      .map((pod) => appPodOf(plan, pod));
    if (node.name === plan.nodes[0]?.name) pods.push(outsidePod(plan));
    await Promise.all(pods.map((pod) => this.#startPod(node.name, pod)));
  }

  /** Ends a node's host if it runs, starts it anew and all its apps. */
  async restart(node: NodePlan): Promise<void> {
    const host = this.#hosts.get(node.name);
    if (host && host.state !== 'exited') {
      host.process.kill('SIGKILL');
      await host.exited;
    }
    await this.start(node);
    await this.startAll(node);
  }

  #startPod(node: string, pod: AppPod): Promise<void> {
    if (!pod.apps.some(isBuiltIn)) return Promise.resolve();
    this.#send(node, { kind: 'start', pod });
    return this.#wait(podKey(node, pod.uid));
  }

  #send(node: string, order: AppHostOrder): void {
    const host = this.#hosts.get(node);
    if (host?.process.connected) host.process.send(order);
    else
      throw new LabError(
        'LAB_PROCESS_EXITED',
        `Cannot reach the app host of "${node}": it has ended`,
      );
  }

  #wait(key: string): Promise<void> {
    return new Promise((resolve, reject) => this.#pending.set(key, { resolve, reject }));
  }

  #hear(host: Child, report: AppHostReport): void {
    const { node } = host.spec;
    switch (report.kind) {
      case 'up':
        host.state = 'ready';
        return this.#settle(hostKey(node));
      case 'started':
        return this.#settle(podKey(node, report.uid));
      case 'failed': {
        const text = `Cannot start the apps of "${report.uid}": ${report.message}`;
        return this.#settle(podKey(node, report.uid), new LabError('LAB_START_FAILED', text));
      }
      case 'observed':
        return this.#options.observations.add(report.observation);
    }
  }

  #settle(key: string, fault?: Error): void {
    const pending = this.#pending.get(key);
    this.#pending.delete(key);
    if (fault) pending?.reject(fault);
    else pending?.resolve();
  }

  #lose(node: string): void {
    const fault = new LabError('LAB_PROCESS_EXITED', `The app host of "${node}" has ended`, {
      hint: `Its last words are in logs/app-host-${node}.log of the lab's directory`,
    });
    for (const key of this.#pending.keys()) {
      if (key === hostKey(node) || key.startsWith(podKey(node, ''))) this.#settle(key, fault);
    }
  }
}

/** Argument list of a `command` app: inside the pod's netns with the pod's resolv.conf. */
export function commandArgv(pod: PodPlan, argv: readonly string[]): readonly string[] {
  return ['ip', 'netns', 'exec', pod.netns, ...argv];
}

function isBuiltIn(app: AppPlan): boolean {
  return app.kind !== 'command';
}

function appPodOf(plan: Plan, { uid, name, netns, apps }: PodPlan): AppPod {
  return { uid, name, netns, listenOn: listenOn(plan), apps };
}

function listenOn(plan: Plan): AppPod['listenOn'] {
  return hasIpv6(plan) ? '::' : '0.0.0.0';
}

function outsidePod(plan: Plan): AppPod {
  const { netns, apps } = plan.outside;
  return { uid: netns, name: netns, netns, listenOn: listenOn(plan), apps };
}

function hostKey(node: string): string {
  return `host ${node}`;
}

function podKey(node: string, uid: string): string {
  return `pod ${node} ${uid}`;
}
