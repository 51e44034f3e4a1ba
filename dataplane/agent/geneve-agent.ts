import { writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import type { Logger } from 'pino';
import type { GeneveRelease } from '../redirect/geneve-constants.ts';
import { failsClosed } from '../redirect/geneve-constants.ts';
import type { GenevePod } from '../redirect/geneve-node.ts';
import type { TunnelKind } from '../tunnels/tunnel.ts';
import type { Agent } from './agent.ts';
import type {
  AgentStatus,
  ApiError,
  EnrolRequest,
  LeaveRequest,
  PodStatus,
  ReconcileReport,
  ZtunnelReport,
} from './api.ts';
import type { ApplyResult } from './apply-options.ts';
import { EnrolledPod } from './enrolled-pod.ts';
import { PodError } from './errors.ts';
import { toFailure } from './failures.ts';
import type { GeneveNodeSide } from './geneve-node-side.ts';
import type { Journal } from './journal.ts';
import { Turns } from './turns.ts';

export interface GeneveAgentOptions {
  readonly node: string;
  readonly release: GeneveRelease;
  readonly dnsCapture: boolean;
  readonly tunnelKind: TunnelKind;
  readonly side: GeneveNodeSide;
  readonly journal: Journal;
  readonly log: Logger;
  /** File that the CNI plugin reads. */
  readonly configFile: string | undefined;
}

/** All changes of a node take one turn: they share chains, tables and the set. */
const TURN = 'node';

/**
 * The agent of era geneve (istio/istio `cni/pkg/ambient` at 1.18 to 1.20): pods are enrolled by a set
 * and a route on the node, and nothing is done in their namespaces. Its life follows that of the
 * node's ztunnel, the newest that is ready.
 */
export class GeneveAgent implements Agent {
  readonly #options: GeneveAgentOptions;
  readonly #pods = new Map<string, EnrolledPod>();
  readonly #ztunnels = new Map<string, ZtunnelReport>();
  readonly #turns = new Turns();
  #active: string | undefined;
  #error: ApiError | undefined;

  private constructor(options: GeneveAgentOptions) {
    this.#options = options;
  }

  /** Pods of the journal are known; they are captured when a ztunnel is there. */
  static async start(options: GeneveAgentOptions): Promise<GeneveAgent> {
    const agent = new GeneveAgent(options);
    for (const request of options.journal.initial) agent.#adopt(request);
    agent.#writeConfig(false);
    return agent;
  }

  /** The pod is captured; without a ztunnel it waits uncaptured for one, as upstream lets it. */
  enrol(request: EnrolRequest): Promise<PodStatus> {
    return this.#turns.take(TURN, async () => {
      const pod = EnrolledPod.open(request);
      this.#pods.get(pod.uid)?.[Symbol.dispose]();
      pod.state = 'pending';
      this.#pods.set(pod.uid, pod);
      this.#options.journal.enrolled(request);
      await this.#ensure();
      return pod.status;
    });
  }

  leave({ uid }: LeaveRequest): Promise<void> {
    return this.#turns.take(TURN, async () => {
      const pod = this.#pods.get(uid);
      if (pod === undefined) {
        throw new PodError(
          'DATAPLANE_AGENT_POD_UNKNOWN',
          `Cannot let pod "${uid}" leave: it is not enrolled here`,
        );
      }
      this.#pods.delete(uid);
      try {
        await this.#ensure();
      } catch (error) {
        this.#pods.set(uid, pod);
        throw error;
      }
      pod[Symbol.dispose]();
      this.#options.journal.left(uid);
    });
  }

  /**
   * A ztunnel pod came, went, or changed. When another is the active one then, the node is cleaned
   * and set up anew: in between, traffic is direct.
   */
  ztunnel(report: ZtunnelReport): Promise<void> {
    return this.#turns.take(TURN, async () => {
      if (report.gone === true) this.#ztunnels.delete(report.uid);
      else this.#ztunnels.set(report.uid, report);
      const next = this.#newestReady();
      if (next === undefined) await this.#loseZtunnel();
      else if (next.uid !== this.#active) await this.#take(next);
    });
  }

  reconcile(): Promise<ReconcileReport> {
    return this.#turns.take(TURN, async () => {
      let host: ApplyResult | 'failed' = 'unchanged';
      const errors: ApiError[] = [];
      try {
        host = await this.#ensure();
      } catch (error) {
        host = 'failed';
        errors.push(toFailure(error).body);
      }
      const pods = Object.fromEntries([...this.#pods.keys()].map((uid) => [uid, host]));
      return { pods, host, errors };
    });
  }

  status(): AgentStatus {
    const { node, release, dnsCapture, tunnelKind, side } = this.#options;
    const { port } = side;
    return {
      ...{ node, dnsCapture, era: 'geneve', ipv6: false, pid: process.pid },
      ztunnel: { connected: this.#active !== undefined, connections: [] },
      pods: [...this.#pods.values()].map((pod) => pod.status),
      geneve: {
        release,
        tunnels: tunnelKind,
        ...(port === undefined ? {} : { port }),
        ...(this.#active === undefined ? {} : { active: this.#active }),
        ...(this.#error === undefined ? {} : { error: this.#error }),
      },
    };
  }

  /** The kernel keeps what it has; who ends the agent for good cleans the node. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pod of this.#pods.values()) pod[Symbol.dispose]();
    this.#pods.clear();
  }

  #adopt(request: EnrolRequest): void {
    try {
      const pod = EnrolledPod.open(request);
      pod.state = 'pending';
      this.#pods.set(pod.uid, pod);
    } catch (error) {
      this.#options.log.warn({ uid: request.uid, err: error }, 'pod is gone');
      this.#options.journal.left(request.uid);
    }
  }

  #newestReady(): ZtunnelReport | undefined {
    return [...this.#ztunnels.values()]
      .filter(({ ready }) => ready)
      .toSorted((a, b) => b.createdMs - a.createdMs)[0];
  }

  async #take(ztunnel: ZtunnelReport): Promise<void> {
    const { side, log } = this.#options;
    this.#active = ztunnel.uid;
    this.#writeConfig(true);
    try {
      await side.clean();
      await side.install(ztunnel);
      await this.#ensure();
      this.#error = undefined;
      log.info({ ztunnel: ztunnel.uid, port: side.port }, 'node redirects to ztunnel');
    } catch (error) {
      this.#active = undefined;
      this.#error = toFailure(error).body;
      this.#setPods('pending');
      log.error({ ztunnel: ztunnel.uid, err: error }, 'node cannot redirect');
      throw error;
    }
  }

  async #loseZtunnel(): Promise<void> {
    if (this.#active === undefined) return;
    const { release, side, log } = this.#options;
    this.#active = undefined;
    this.#writeConfig(false);
    log.warn({ release }, 'no ztunnel is ready');
    if (failsClosed(release)) return;
    await side.clean();
    this.#setPods('pending');
  }

  async #ensure(): Promise<ApplyResult> {
    const result = await this.#options.side.ensure([...this.#pods.values()].flatMap(addressesOf));
    this.#setPods(this.#active === undefined ? 'pending' : 'enrolled', result);
    return result;
  }

  #setPods(state: 'pending' | 'enrolled', rules?: ApplyResult): void {
    for (const pod of this.#pods.values()) {
      pod.state = state;
      pod.acked = state === 'enrolled';
      if (rules !== undefined) pod.rules = rules;
    }
  }

  /** `/etc/ambient-config/config.json` of upstream. */
  #writeConfig(ztunnelReady: boolean): void {
    const { configFile } = this.#options;
    if (configFile === undefined) return;
    const content = { ztunnelReady, redirectMode: 'iptables' };
    writeFileSync(configFile, `${JSON.stringify(content)}\n`);
  }
}

function addressesOf({ request, uid }: EnrolledPod): readonly GenevePod[] {
  return request.ips.filter(isIPv4).map((address) => ({ address, uid }));
}
