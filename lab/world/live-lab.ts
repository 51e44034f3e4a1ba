import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Recording } from '../capture/layout.ts';
import { findParty } from '../plan/names.ts';
import type { Plan } from '../plan/plan.ts';
import type { CountedRule } from '../policy/read-back.ts';
import type { ScenarioRequest } from '../../topologies/topology.ts';
import type { ControlClient } from './control-client.ts';
import { enterArgv } from './enter.ts';
import { runEntered } from './exec.ts';
import type {
  AppObservation,
  CaptureStartOptions,
  EnrolResult,
  ExecOptions,
  Lab,
  LabStatus,
  PodChange,
  PodChanged,
  PolicyChange,
  ProcessKind,
  RequestOptions,
  RequestReport,
} from './lab.ts';
import { untilDead, type LaunchedSupervisor } from './launch.ts';
import type { LabPaths } from './paths.ts';

const DOWN_TIMEOUT_MS = 10_000;

/** A connection to a running lab; with `owned`, the lab ends when this does. */
export class LiveLab implements Lab {
  readonly name: string;
  readonly plan: Plan;
  readonly directory: string;
  readonly #paths: LabPaths;
  readonly #control: ControlClient;
  readonly #owned: LaunchedSupervisor | undefined;
  #isDown = false;

  constructor(
    plan: Plan,
    paths: LabPaths,
    control: ControlClient,
    owned: LaunchedSupervisor | undefined,
  ) {
    this.name = plan.lab;
    this.plan = plan;
    this.directory = paths.directory;
    this.#paths = paths;
    this.#control = control;
    this.#owned = owned;
  }

  status(): Promise<LabStatus> {
    return this.#control.call('status', {});
  }

  exec(target: string, argv: readonly string[], options: ExecOptions = {}): Promise<number> {
    return runEntered(this.execArgv(target, argv, options), options);
  }

  execArgv(
    target: string,
    argv: readonly string[],
    options: ExecOptions = {},
  ): readonly [string, ...string[]] {
    const { netns } = findParty(this.plan, target);
    this.#control.mustLive();
    return enterArgv(this.#control.supervisorPid, netns, argv, options);
  }

  enrol(pod: string): Promise<EnrolResult> {
    return this.#control.call('enrol', { pod });
  }

  leave(pod: string): Promise<EnrolResult> {
    return this.#control.call('leave', { pod });
  }

  async changePolicies(change: PolicyChange): Promise<void> {
    await this.#control.call('changePolicies', change);
  }

  changePod(change: PodChange): Promise<PodChanged> {
    return this.#control.call('changePod', change);
  }

  policyRules(node: string): Promise<readonly CountedRule[]> {
    return this.#control.call('policyRules', { node });
  }

  get supervisorPid(): number {
    return this.#control.supervisorPid;
  }

  async startCapture(directory: string, options: CaptureStartOptions = {}): Promise<void> {
    await this.#control.call('startCapture', { directory: resolve(directory), options });
  }

  stopCapture(): Promise<Recording> {
    return this.#control.call('stopCapture', {});
  }

  request(request: ScenarioRequest, options: RequestOptions = {}): Promise<RequestReport> {
    return this.#control.call('request', { request, options });
  }

  async kill(
    process: ProcessKind,
    node: string,
    signal: NodeJS.Signals = 'SIGKILL',
  ): Promise<void> {
    await this.#control.call('kill', { process, node, signal });
  }

  async restart(process: ProcessKind, node: string): Promise<void> {
    await this.#control.call('restart', { process, node });
  }

  async surge(node: string): Promise<void> {
    await this.#control.call('surge', { node });
  }

  async retire(node: string): Promise<void> {
    await this.#control.call('retire', { node });
  }

  async rotateSidecars(): Promise<void> {
    await this.#control.call('rotateSidecars', {});
  }

  async renewSidecars(): Promise<void> {
    await this.#control.call('renewSidecars', {});
  }

  observations(canary?: string): Promise<readonly AppObservation[]> {
    return this.#control.call('observations', { canary });
  }

  drift(): Promise<readonly string[]> {
    return this.#control.call('drift', {});
  }

  ended(): Promise<void> {
    return this.#control.closed();
  }

  async down(): Promise<void> {
    if (this.#isDown) return;
    this.#isDown = true;
    const { supervisorPid } = this.#control;
    await this.#control.call('down', {}).catch(() => undefined);
    await this.#control.closed();
    await untilGone(supervisorPid);
    await untilDead(this.#paths);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDown) return;
    if (!this.#owned) {
      this.#control[Symbol.dispose]();
      return;
    }
    this.#isDown = true;
    this.#control[Symbol.dispose]();
    await this.#owned.kill();
  }
}

/**
 * The kernel releases a process's files before it ends the rest of its PID namespace, so a free
 * lock alone does not say that everything is gone; its entry in /proc does.
 */
async function untilGone(pid: number): Promise<void> {
  const deadline = performance.now() + DOWN_TIMEOUT_MS;
  while (existsSync(`/proc/${pid}`) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
