import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ensureRouting } from '../../dataplane/agent/policy-routing.ts';
import { sidecarBootstrap } from '../../dataplane/envoy/bootstrap.ts';
import type { JsonObject } from '../../dataplane/envoy/json.ts';
import type { SidecarInput } from '../../dataplane/envoy/sidecar-input.ts';
import { certificateSecret } from '../../dataplane/envoy/tls.ts';
import type { CaClient } from '../../dataplane/identity/ca-client.ts';
import { createFileCa, loadFileCa } from '../../dataplane/identity/file-ca.ts';
import { SIDECAR_PORTS, SIDECAR_UID } from '../../dataplane/redirect/sidecar-constants.ts';
import { sidecarRuleSet } from '../../dataplane/redirect/sidecar-rule-set.ts';
import { hasIpv6 } from '../plan/families.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';
import { sidecarInputOf } from '../plan/sidecar-input.ts';
import { injectedPods } from '../plan/sidecars.ts';
import { fdOf, type NetnsTable } from './build.ts';
import type { Child, ChildTable } from './child-table.ts';
import { LabError } from './errors.ts';
import { getInNetns } from './netns-http.ts';
import { ENVOY_IN_LAB, type LabPaths } from './paths.ts';
import { endOf } from './process-end.ts';
import { programEnv } from './program-env.ts';
import { isAgentReady, sidecarAgentSpec } from './sidecar-agent.ts';
import { until } from './until.ts';

const START_TIMEOUT_MS = 30_000;
/** Half of what the lab's CA gives a certificate, as istio-agent has it. */
const ROTATION_MS = 43_200_000;
/** As Istio starts it when nobody sets limits (`ISTIO_META…concurrency`, default of the proxy config). */
const WORKERS = '2';
/** Leg records are wanted as soon as a request is over. */
const LOG_FLUSH_MS = '20';
const LEGS = '/proc/self/fd/3';
const KEYS = '/proc/self/fd/4';

export interface SidecarsOptions {
  readonly plan: Plan;
  readonly paths: LabPaths;
  readonly netns: NetnsTable;
  readonly children: ChildTable;
  readonly withoutEvidence: boolean;
}

/** The Envoys of all pods that have a sidecar: in the pod's netns, as user and group 1337. */
export class Sidecars {
  readonly #options: SidecarsOptions;
  #ca: CaClient | undefined;

  constructor(options: SidecarsOptions) {
    this.#options = options;
  }

  /**
   * When this resolves every sidecar serves; the redirect of their pods was loaded before.
   *
   * @throws LabError LAB_PROCESS_EXITED with Envoy's last words, LAB_NOT_READY
   */
  async start(): Promise<void> {
    const { plan, paths } = this.#options;
    // Envoy is no root, and appends to what the whole lab writes; the directory lets root in only.
    for (const file of [paths.legs, paths.keys]) {
      closeSync(openSync(file, 'a'));
      chmodSync(file, 0o666);
    }
    const files = createFileCa({ dir: join(paths.directory, 'ca'), trustDomain: plan.trustDomain });
    this.#ca = loadFileCa(files);
    await Promise.all(injectedPods(plan).map((pod) => this.#startOne(pod)));
    // It must not keep the supervisor.
    setInterval(() => void this.rotate().catch(() => undefined), ROTATION_MS).unref();
  }

  /** Gives every sidecar a new certificate; connections that are open go on with the old one. */
  async rotate(): Promise<void> {
    await Promise.all(injectedPods(this.#options.plan).map((pod) => this.#newCertificate(pod)));
  }

  /** Ends every Envoy and starts it anew: no connection of theirs is left. */
  async renew(): Promise<void> {
    const { plan, children } = this.#options;
    await Promise.all(
      injectedPods(plan).map(async (pod) => {
        const running = children.get(nameOf(pod));
        if (running && running.state !== 'exited') {
          running.process.kill('SIGKILL');
          await running.exited;
        }
        await this.#startOne(pod);
      }),
    );
  }

  async #startOne(pod: PodPlan): Promise<void> {
    const { plan, paths, netns, children } = this.#options;
    const fd = fdOf(netns, pod.netns);
    const { redirect } = pod.sidecar ?? {};
    if (redirect) {
      const rules = sidecarRuleSet({ era: plan.era, ipv6: hasIpv6(plan), ...redirect });
      ensureRouting(fd, rules.routing);
    }
    if (redirect?.dnsCapture === true) await this.#startAgent(pod, fd);
    const config = await this.#writeConfig(pod);
    const child = await children.start({
      kind: 'envoy',
      name: nameOf(pod),
      node: pod.node,
      netns: pod.netns,
      netnsFd: fd,
      argv: [
        ...[ENVOY_IN_LAB, '-c', config, '--concurrency', WORKERS, '--disable-hot-restart'],
        ...['--file-flush-interval-msec', LOG_FLUSH_MS, '--log-level', 'warning'],
      ],
      env: programEnv(),
      user: { uid: uidOf(pod), gid: SIDECAR_UID },
      files: [paths.legs, paths.keys],
    });
    await this.#until(child, async () => {
      const { status } = await getInNetns(fd, '127.0.0.1', SIDECAR_PORTS.admin, '/ready');
      return status === 200;
    });
  }

  /** Once: it keeps no connections that a recording would have to see from their start. */
  async #startAgent(pod: PodPlan, netnsFd: number): Promise<void> {
    const { plan, paths, children } = this.#options;
    const spec = sidecarAgentSpec(plan, pod, paths);
    const running = children.get(spec.name);
    if (running && running.state !== 'exited') return;
    const child = await children.start({ ...spec, netnsFd });
    await this.#until(child, () => isAgentReady(netnsFd));
  }

  async #writeConfig(pod: PodPlan): Promise<string> {
    const { plan, withoutEvidence } = this.#options;
    const input = {
      ...sidecarInputOf(plan, pod),
      ...(await this.#newCertificate(pod)),
      files: withoutEvidence ? {} : { accessLog: '/dev/stdout', legLog: LEGS, keyLog: KEYS },
    };
    return this.#write(pod, 'envoy.json', sidecarBootstrap(input));
  }

  /** A certificate of its own for the pod, in the file that its Envoy watches. */
  async #newCertificate(
    pod: PodPlan,
  ): Promise<Pick<SidecarInput, 'credentials'> & { readonly secretFile: string }> {
    const { namespace, serviceAccount } = pod;
    const { trustDomain } = this.#options.plan;
    const identity = { trustDomain, namespace, serviceAccount };
    const { credentials } = await this.#ca!.fetchCertificate(identity);
    const secretFile = this.#write(pod, 'certificate.json', certificateSecret(credentials));
    return { credentials, secretFile };
  }

  /** Replaces a file of a pod's Envoy whole, which only that can read. */
  #write(pod: PodPlan, name: string, content: JsonObject): string {
    const folder = join('/run/envoy', pod.netns);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, name);
    writeFileSync(`${file}.new`, JSON.stringify(content, null, 2), { mode: 0o400 });
    chownSync(`${file}.new`, uidOf(pod), SIDECAR_UID);
    renameSync(`${file}.new`, file);
    return file;
  }

  async #until(child: Child, isReady: () => Promise<boolean>): Promise<void> {
    const giveUp = (): LabError | undefined => endOf(child, this.#options.paths.logs);
    await until(`${child.spec.name} is ready`, isReady, { timeoutMs: START_TIMEOUT_MS, giveUp });
    child.state = 'ready';
  }
}

/** With TPROXY the proxy binds addresses that are not its own, which takes CAP_NET_ADMIN. */
function uidOf({ sidecar }: PodPlan): number {
  return sidecar?.redirect?.isTproxy === true ? 0 : SIDECAR_UID;
}

/** Name of a pod's Envoy among the programs of the lab. */
function nameOf(pod: PodPlan): string {
  return `envoy-${pod.netns}`;
}
