import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Era, TproxyRelease } from '../redirect/era.ts';
import { podRules } from '../redirect/pod-rules.ts';
import type { RuleSet } from '../redirect/rule.ts';
import type { AgentStatus, EnrolRequest, LeaveRequest, PodStatus, ReconcileReport } from './api.ts';
import type { ApplyResult, ApplyStep } from './apply-options.ts';
import { applyRules, removeRules } from './apply-rules.ts';
import { EnrolledPod } from './enrolled-pod.ts';
import { HostSetError, PodError, ZtunnelUnavailableError } from './errors.ts';
import { toFailure } from './failures.ts';
import type { HostSide } from './host-side.ts';
import type { Journal } from './journal.ts';
import { NftPrints } from './nft-prints.ts';
import { rulesOfAnnotations } from './pod-annotations.ts';
import type { Programs } from './programs.ts';
import { RuleClones } from './rule-clones.ts';
import { Slots, Turns } from './turns.ts';
import type { SnapshotSource } from './zds-server.ts';
import { ZdsServer } from './zds-server.ts';

export interface NodeAgentOptions {
  readonly node: string;
  readonly era: Era;
  readonly dnsCapture: boolean;
  /** Istio release that era inpod-tproxy follows. */
  readonly tproxyRelease?: TproxyRelease | undefined;
  readonly ipv6: boolean;
  readonly probeAddress: string;
  readonly probeAddressIpv6: string;
  readonly zdsSocket: string;
  readonly host: HostSide;
  readonly journal: Journal;
  readonly log: Logger;
  readonly programs?: Programs;
  /** Deadline of each ZDS message; 5 s when absent, as upstream. */
  readonly zdsDeadlineMs?: number;
}

const ENROL_TIMEOUT_MS = 5000;
const FIRST_BACKOFF_MS = 5;
const LAST_BACKOFF_MS = 5000;
/** Pods whose rules are worked on at once: each takes a few processes. */
const PODS_AT_ONCE = 4;
const KEPT_RULE_SETS = 100;

/**
 * Puts pods of one node into the mesh and takes them out: rules in the pod's netns, ZDS to ztunnel,
 * the node's probe rule, in the order of `facts/redirect.md` §2.8. Pods survive it: what is in a
 * netns stays there when the agent ends.
 */
export class NodeAgent implements AsyncDisposable, SnapshotSource {
  readonly #options: NodeAgentOptions;
  readonly #pods = new Map<string, EnrolledPod>();
  readonly #turns = new Turns();
  readonly #slots = new Slots(PODS_AT_ONCE);
  readonly #prints = new NftPrints();
  readonly #clones = new RuleClones(applyRules);
  /** Sets made so far, by what annotations ask for: nearly all pods ask for the same. */
  readonly #rules = new Map<string, RuleSet>();
  #zds: ZdsServer | undefined;

  private constructor(options: NodeAgentOptions) {
    this.#options = options;
  }

  /**
   * The node's rule is in, pods of the journal are adopted, ztunnel may connect.
   * @throws {ProgramError} {@link KernelError} when the node's part cannot be had
   */
  static async start(options: NodeAgentOptions): Promise<NodeAgent> {
    const agent = new NodeAgent(options);
    agent.#clones.prepare(agent.#rulesFor({}), options.programs);
    await options.host.start();
    const { initial } = options.journal;
    await Promise.all(initial.map((request) => agent.#adopt(request)));
    agent.#zds = new ZdsServer({
      path: options.zdsSocket,
      source: agent,
      log: options.log,
      ...(options.zdsDeadlineMs === undefined ? {} : { deadlineMs: options.zdsDeadlineMs }),
    });
    return agent;
  }

  /**
   * Rules are in, ztunnel has acked, the node's set has the pod's addresses: in this order. Again
   * with a pod that is enrolled: looks whether all is well, and says so.
   * @throws {PodError} {@link ZtunnelUnavailableError} {@link ZtunnelRefusedError} and errors of
   *   {@link applyRules}; `failures.ts` says which are worth a retry
   */
  enrol(request: EnrolRequest): Promise<PodStatus> {
    return this.#turns.take(request.uid, async () => {
      const pod = this.#admit(request);
      try {
        await this.#applyRules(pod);
      } catch (error) {
        this.#setFailed(pod, 'failed', error);
        throw error;
      }
      if (pod.state !== 'enrolled') pod.state = 'pending';
      this.#options.journal.enrolled(request);
      try {
        await this.#announce(pod, request.timeoutMs ?? ENROL_TIMEOUT_MS);
        await this.#complete(pod);
      } catch (error) {
        this.#setFailed(pod, 'pending', error);
        throw error;
      }
      return pod.status;
    });
  }

  /**
   * Out of the mesh: ztunnel has let go, rules are out of the netns, addresses out of the set. For a
   * deleted pod: out of the set first, and its netns is left to die.
   * @throws {PodError} when there is no such pod
   * @throws {ZtunnelUnavailableError} when a ztunnel does not answer; the next try goes on from there
   */
  leave(request: LeaveRequest): Promise<void> {
    return this.#turns.take(request.uid, async () => {
      const pod = this.#pods.get(request.uid);
      if (pod === undefined) {
        throw new PodError(
          'DATAPLANE_AGENT_POD_UNKNOWN',
          `Cannot let pod "${request.uid}" leave: it is not enrolled here`,
        );
      }
      const wasFailed = pod.state === 'failed';
      pod.state = 'leaving';
      try {
        if (request.deleted === true) await this.#forgetDeleted(pod);
        else await this.#takeOut(pod, wasFailed);
      } catch (error) {
        this.#setFailed(pod, 'leaving', error);
        throw error;
      }
      this.#pods.delete(pod.uid);
      pod[Symbol.dispose]();
      this.#options.journal.left(pod.uid);
      this.#options.log.info({ uid: pod.uid, deleted: request.deleted === true }, 'pod left');
    });
  }

  /** Looks at every pod and at the node, and repairs what is not as it should be. */
  async reconcile(): Promise<ReconcileReport> {
    const errors: ReturnType<typeof toFailure>['body'][] = [];
    const attempt = async (task: () => Promise<ApplyResult>): Promise<ApplyResult | 'failed'> => {
      try {
        return await task();
      } catch (error) {
        this.#options.log.error({ err: error }, 'reconcile failed');
        errors.push(toFailure(error).body);
        return 'failed';
      }
    };
    const pods = await Promise.all(
      [...this.#pods.keys()].map(
        async (uid) => [uid, await attempt(() => this.#reconcilePod(uid))] as const,
      ),
    );
    const enrolled = [...this.#pods.values()].filter((pod) => pod.isInSnapshot);
    const host = await attempt(() =>
      this.#options.host.reconcile(enrolled.map((pod) => pod.request)),
    );
    return { pods: Object.fromEntries(pods), host, errors };
  }

  status(): AgentStatus {
    const { node, era, dnsCapture, ipv6 } = this.#options;
    return {
      ...{ node, era, dnsCapture, ipv6 },
      pid: process.pid,
      ztunnel: {
        connected: this.#zds?.isConnected ?? false,
        connections: this.#zds?.connections ?? [],
      },
      pods: [...this.#pods.values()].map((pod) => pod.status),
    };
  }

  uids(): readonly string[] {
    return [...this.#pods.values()].filter((pod) => pod.isInSnapshot).map((pod) => pod.uid);
  }

  find(uid: string) {
    const pod = this.#pods.get(uid);
    return pod?.isInSnapshot === true ? pod.workload : undefined;
  }

  /** A snapshot may finish what an enrolment without a ztunnel had to leave pending. */
  answered(uid: string, error: Error | undefined): void {
    void this.#turns.take(uid, async () => {
      const pod = this.#pods.get(uid);
      if (pod === undefined || !pod.isInSnapshot) return;
      try {
        if (error !== undefined) throw error;
        await this.#complete(pod);
      } catch (fault) {
        this.#setFailed(pod, 'pending', fault);
      }
    });
  }

  /** ZDS ends; pods keep their rules, ztunnels their pods. The node's part stays, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#zds?.[Symbol.dispose]();
    for (const pod of this.#pods.values()) pod[Symbol.dispose]();
    this.#pods.clear();
  }

  /** The record of the pod; the one that is there when only its description changed. */
  #admit(request: EnrolRequest): EnrolledPod {
    const pod = EnrolledPod.open(request);
    const before = this.#pods.get(pod.uid);
    if (before !== undefined) {
      if (before.hasNetnsOf(pod)) {
        // A snapshot that is under way must not lose the pod while it is looked at again.
        if (before.isInSnapshot) pod.state = before.state;
        pod.acked = before.acked;
      }
      before[Symbol.dispose]();
    }
    this.#pods.set(pod.uid, pod);
    return pod;
  }

  async #adopt(request: EnrolRequest): Promise<void> {
    const { log, journal } = this.#options;
    try {
      const pod = this.#admit(request);
      await this.#applyRules(pod);
      pod.state = 'pending';
      await this.#options.host.add(pod.request);
      log.info({ uid: pod.uid, rules: pod.rules }, 'pod adopted');
    } catch (error) {
      const known = this.#pods.get(request.uid);
      if (known !== undefined) this.#setFailed(known, 'failed', error);
      else if (isGone(error)) journal.left(request.uid);
      else {
        const pod = EnrolledPod.withoutNetns(request);
        this.#pods.set(request.uid, pod);
        this.#setFailed(pod, 'pending', error);
      }
    }
  }

  async #applyRules(pod: EnrolledPod): Promise<ApplyResult> {
    const { netns } = pod;
    if (netns === undefined) return 'unchanged';
    const result = await this.#slots.run(() =>
      applyRules(this.#rulesOf(pod), {
        netns,
        programs: this.#options.programs,
        guardrails: true,
        prints: this.#prints,
        clones: this.#clones,
        observe: (step, family) => this.#logStep(pod, step, family),
      }),
    );
    pod.rules = result;
    return result;
  }

  #rulesOf(pod: EnrolledPod): RuleSet {
    return this.#rulesFor(pod.request.annotations ?? {});
  }

  #rulesFor(annotations: Readonly<Record<string, string>>): RuleSet {
    const { era, dnsCapture, ipv6, probeAddress, probeAddressIpv6, tproxyRelease } = this.#options;
    const defaults = { era, dnsCapture, tproxyRelease };
    const annotated = rulesOfAnnotations(annotations, defaults);
    const key = JSON.stringify(annotated);
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const rules = podRules({ era, ipv6, probeAddress, probeAddressIpv6, ...annotated });
    if (this.#rules.size < KEPT_RULE_SETS) this.#rules.set(key, rules);
    return rules;
  }

  /** Waits, with back-off, for a ztunnel and its ack; a refusal is final. */
  async #announce(pod: EnrolledPod, timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    const action = `enrol pod "${pod.uid}"`;
    let reason = `no ztunnel within ${timeoutMs} ms`;
    for (let delayMs = FIRST_BACKOFF_MS; ; delayMs = Math.min(delayMs * 2, LAST_BACKOFF_MS)) {
      const attempt = this.#add(pod);
      try {
        await untilAborted(attempt, signal);
        return;
      } catch (error) {
        // An ack that comes too late for the caller still enrols the pod.
        attempt.then(
          () => this.answered(pod.uid, undefined),
          () => {},
        );
        if (signal.aborted) throw new ZtunnelUnavailableError(action, reason);
        if (!(error instanceof ZtunnelUnavailableError)) throw error;
        reason = `${error.message}, for ${timeoutMs} ms`;
      }
      await sleep(delayMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw new ZtunnelUnavailableError(action, reason);
    }
  }

  async #add(pod: EnrolledPod): Promise<void> {
    if (this.#zds === undefined) throw new ZtunnelUnavailableError('add a pod', 'not started');
    await this.#zds.add(pod.workload);
  }

  async #complete(pod: EnrolledPod): Promise<void> {
    pod.acked = true;
    try {
      await this.#options.host.add(pod.request);
    } catch (error) {
      throw new HostSetError(pod.uid, error);
    }
    pod.error = undefined;
    if (pod.state === 'enrolled') return;
    pod.state = 'enrolled';
    const { uid, name, namespace } = pod.request;
    this.#options.log.info({ uid, name, namespace, rules: pod.rules }, 'pod enrolled');
  }

  async #takeOut(pod: EnrolledPod, wasFailed: boolean): Promise<void> {
    const { netns } = pod;
    if (!wasFailed) await this.#zds?.del(pod.uid);
    if (netns !== undefined) {
      await this.#slots.run(() =>
        removeRules(this.#rulesOf(pod), {
          netns,
          programs: this.#options.programs,
          observe: (step, family) => this.#logStep(pod, step, family),
        }),
      );
    }
    await this.#options.host.remove(pod.request);
  }

  async #forgetDeleted(pod: EnrolledPod): Promise<void> {
    await this.#options.host.remove(pod.request);
    await this.#zds?.del(pod.uid);
  }

  async #reconcilePod(uid: string): Promise<ApplyResult> {
    return this.#turns.take(uid, async () => {
      const pod = this.#pods.get(uid);
      if (pod === undefined || !pod.isInSnapshot) return 'unchanged';
      const result = await this.#applyRules(pod);
      if (pod.state === 'pending') {
        await this.#add(pod);
        await this.#complete(pod);
      }
      return result;
    });
  }

  #setFailed(pod: EnrolledPod, state: 'failed' | 'pending' | 'leaving', error: unknown): void {
    pod.state = state;
    pod.acked = pod.acked && error instanceof HostSetError;
    pod.error = toFailure(error).body;
    this.#options.log.error({ uid: pod.uid, state, err: error }, 'pod is not as wished');
  }

  #logStep(pod: EnrolledPod, step: ApplyStep, family: string): void {
    this.#options.log.debug({ uid: pod.uid, step, family }, 'rules');
  }
}

/** Settles as the promise does, or rejects when the signal comes first. */
async function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function isGone(error: unknown): boolean {
  const cause = error instanceof PodError ? (error.cause as NodeJS.ErrnoException) : undefined;
  return cause?.code === 'ENOENT';
}
