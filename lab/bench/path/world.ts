import { execFileSync, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyRules } from '../../../dataplane/agent/apply-rules.ts';
import { closeNetns, createNetns, withNetns } from '../../../dataplane/kernel/netns.ts';
import { podRules } from '../../../dataplane/redirect/pod-rules.ts';
import { sidecarRuleSet } from '../../../dataplane/redirect/sidecar-rule-set.ts';

/** What of the pod's rules and files a program may need beside its arguments. */
export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** User and group; root when absent. */
  readonly uid?: number;
}

/** A pod of the benchmark: a netns behind the router. */
export interface BenchPod {
  readonly name: string;
  readonly ip: string;
  readonly netns: number;
}

const ROUTER_IP = '10.99.0.1';
/**
 * Many short connections between the same two addresses: all ports, reused early, and conntrack
 * entries that go soon. The same for every variant.
 */
const SYSCTLS = `
echo 20000 65000 > /proc/sys/net/ipv4/ip_local_port_range
echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse
for f in all default; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
[ ! -e /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait ] ||
  echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait`;

/** Namespaces and processes of a benchmark run; the machine's own netns is not touched. */
export class BenchWorld implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'bench-path-'));
  readonly #router = createNetns();
  readonly #congestion: string | undefined;
  readonly #pods: BenchPod[] = [];
  readonly #children = new Set<ChildProcess>();

  /** @param congestion congestion control of all pods; the machine's default when absent */
  constructor(congestion?: string) {
    this.#congestion = congestion;
    // Programs of other users read their configuration in it.
    chmodSync(this.directory, 0o755);
    runScript(this.#router, `ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward`);
  }

  addPod(name: string): BenchPod {
    const netns = createNetns();
    const index = this.#pods.length + 2;
    const ip = `10.99.0.${index}`;
    const place = `/proc/${process.pid}/fd/${netns}`;
    runScript(
      this.#router,
      `ip link add v${index} type veth peer name eth0 netns ${place}
       ip addr add ${ROUTER_IP}/32 dev v${index}; ip link set v${index} up
       ip route add ${ip}/32 dev v${index}`,
    );
    runScript(
      netns,
      `ip link set lo up; ip addr add ${ip}/32 dev eth0; ip link set eth0 up
       ip route add ${ROUTER_IP} dev eth0 scope link; ip route add default via ${ROUTER_IP}
       ${SYSCTLS}`,
    );
    if (this.#congestion !== undefined) {
      runScript(netns, `echo ${this.#congestion} > /proc/sys/net/ipv4/tcp_congestion_control`);
    }
    const pod = { name, ip, netns };
    this.#pods.push(pod);
    return pod;
  }

  /** Gives a pod the redirect rules of an enrolled one, the current era. */
  async enrol(pod: BenchPod): Promise<void> {
    const rules = podRules({ era: 'inpod-redirect', dnsCapture: false });
    await applyRules(rules, { netns: pod.netns, guardrails: false });
    runScript(pod.netns, SYSCTLS);
  }

  /** Gives a pod the redirect rules of an injected one, those of istio-init. */
  async inject(pod: BenchPod): Promise<void> {
    const rules = sidecarRuleSet({ era: 'inpod-redirect', isTproxy: false, dnsCapture: false });
    await applyRules(rules, { netns: pod.netns, guardrails: false });
    runScript(pod.netns, SYSCTLS);
  }

  /** A file of the run that every user may read; its path. */
  write(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  /** Starts a program in a pod's netns, its output piped; it dies with this process. */
  start(pod: BenchPod, argv: readonly string[]): ChildProcess {
    return this.#spawn(pod, argv, ['ignore', 'pipe', 'pipe'], {});
  }

  /** The same, its output in `<name>.log`: reading a pipe would cost CPU beside the measurement. */
  startLogged(
    pod: BenchPod,
    name: string,
    argv: readonly string[],
    options: StartOptions = {},
  ): ChildProcess {
    const path = join(this.directory, `${name}.log`);
    const log = openSync(path, 'a');
    // Envoy opens its standard output once more, by name.
    chmodSync(path, 0o666);
    const child = this.#spawn(pod, argv, ['ignore', log, log], options);
    closeSync(log);
    return child;
  }

  #spawn(
    pod: BenchPod,
    argv: readonly string[],
    stdio: StdioOptions,
    { env, uid = 0 }: StartOptions,
  ): ChildProcess {
    const user = uid === 0 ? [] : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const child = withNetns(pod.netns, () =>
      spawn('setpriv', [...user, '--pdeathsig', 'KILL', ...argv], {
        stdio,
        env: { ...process.env, ...env },
      }),
    );
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#children].map((child) => this.stop(child)));
    for (const pod of this.#pods) closeNetns(pod.netns);
    closeNetns(this.#router);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function runScript(netns: number, script: string): void {
  withNetns(netns, () =>
    execFileSync('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'pipe'] }),
  );
}
