import { closeNetns, createNetns } from '../../dataplane/kernel/netns.ts';
import type { NetworkPolicy } from '../../topologies/network-policy.ts';
import type { Family } from '../../dataplane/redirect/rule.ts';
import { familiesOf } from '../plan/families.ts';
import type { Plan } from '../plan/plan.ts';
import { clusterOf, initialState, type PolicyState } from '../policy/cluster.ts';
import { generatePolicies } from '../policy/generate.ts';
import {
  countPolicies,
  differingPolicies,
  presentIn,
  readIptables,
  readNft,
  type CountedRule,
  type SeenRule,
} from '../policy/read-back.ts';
import { renderIptables, rulesOfFamily } from '../policy/render-iptables.ts';
import { POLICY_TABLE, renderNft } from '../policy/render-nft.ts';
import type { NodePolicies } from '../policy/rule.ts';
import { fdOf, type NetnsTable } from './build.ts';
import { LabError } from './errors.ts';
import { runCaptured, type Captured } from './run-captured.ts';

const TIMEOUT_MS = 20_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** Enforces NetworkPolicy objects on the nodes of a running lab, and keeps to what they say now. */
export class NetworkPolicies {
  readonly #plan: Plan;
  readonly #netns: NetnsTable;
  #state: PolicyState;
  /** One change at a time: each replaces the rules of every node. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(plan: Plan, netns: NetnsTable) {
    this.#plan = plan;
    this.#netns = netns;
    this.#state = initialState(plan);
  }

  get policies(): readonly NetworkPolicy[] {
    return this.#state.policies;
  }

  /**
   * The rules of the topology's policies are in and read back; nothing is touched without policies.
   * @throws LabError LAB_BUILD_FAILED, LAB_READBACK_DIFFERS
   */
  async start(): Promise<void> {
    if (this.#state.policies.length > 0) await this.#install();
  }

  /** Adds a policy, or replaces the one of its name. */
  apply(policy: NetworkPolicy): Promise<void> {
    return this.#change(({ policies, labels }) => ({
      labels,
      policies: [...policies.filter((each) => !isSame(each, policy)), policy],
    }));
  }

  /** @throws LabError LAB_UNKNOWN_POLICY */
  delete(namespace: string, name: string): Promise<void> {
    return this.#change(({ policies, labels }) => {
      const left = policies.filter(
        ({ metadata }) => metadata.name !== name || metadata.namespace !== namespace,
      );
      if (left.length < policies.length) return { labels, policies: left };
      const known = policies.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
      throw new LabError(
        'LAB_UNKNOWN_POLICY',
        `Cannot delete the NetworkPolicy "${namespace}/${name}": the lab has ` +
          (known.join(', ') || 'none'),
      );
    });
  }

  /** Gives a pod these labels instead of those it has. */
  label(uid: string, labels: Readonly<Record<string, string>>): Promise<void> {
    return this.#change((state) => ({
      ...state,
      labels: new Map([...state.labels, [uid, labels]]),
    }));
  }

  /** Labels that a pod has now. */
  labelsOf(uid: string): Readonly<Record<string, string>> {
    const planned = this.#plan.pods.find((pod) => pod.uid === uid)?.labels ?? {};
    return this.#state.labels.get(uid) ?? planned;
  }

  /** Rules of a node with their reasons and what the kernel has counted at them. */
  async count(node: string): Promise<readonly CountedRule[]> {
    const wanted = this.#wanted(node);
    const read = await this.#read(fdOf(this.#netns, node));
    return read.flatMap(({ family, rules }) =>
      countPolicies(family === undefined ? wanted.rules : rulesOfFamily(wanted, family), rules),
    );
  }

  /** What the kernel has that differs from what the policies say now. */
  async drift(): Promise<readonly string[]> {
    const faults = await Promise.all(
      this.#plan.nodes.map(async ({ name }) => {
        const found = await this.#compare(name);
        return found.map((fault) => `${name}: ${fault}`);
      }),
    );
    return faults.flat();
  }

  #change(next: (state: PolicyState) => PolicyState): Promise<void> {
    const done = this.#last.then(async () => {
      const before = this.#state;
      this.#state = next(before);
      try {
        await this.#install();
      } catch (error) {
        this.#state = before;
        throw error;
      }
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #install(): Promise<void> {
    await Promise.all(
      this.#plan.nodes.map(async ({ name }) => {
        const fd = fdOf(this.#netns, name);
        await this.#load(this.#wanted(name), fd);
        const faults = await this.#compare(name);
        if (faults.length === 0) return;
        throw new LabError(
          'LAB_READBACK_DIFFERS',
          `Cannot enforce the policies on "${name}": the kernel has other rules: ${faults[0]}`,
          { details: { faults } },
        );
      }),
    );
  }

  #wanted(node: string): NodePolicies {
    return generatePolicies(clusterOf(this.#plan, this.#state), node);
  }

  /** Loads the same text into a namespace of its own, so that only the kernel's words are compared. */
  async #compare(node: string): Promise<readonly string[]> {
    const scratch = createNetns();
    try {
      const [wanted, seen] = await Promise.all([
        this.#load(this.#wanted(node), scratch).then(() => this.#read(scratch)),
        this.#read(fdOf(this.#netns, node)),
      ]);
      return wanted.flatMap(({ family, rules }) => {
        const found = seen.find((other) => other.family === family);
        return differingPolicies(rules, found?.rules ?? []);
      });
    } finally {
      closeNetns(scratch);
    }
  }

  async #load(policies: NodePolicies, netnsFd: number): Promise<void> {
    if (this.#plan.networkPolicy === 'nft') {
      await mustRun(['nft', '-f', '-'], netnsFd, renderNft(policies));
      return;
    }
    for (const family of this.#families) {
      const program = programOf(family);
      const present = presentIn(await mustRun([`${program}-save`, '-t', 'filter'], netnsFd));
      if (present.chains.length + policies.rules.length === 0) continue;
      const text = renderIptables(policies, present, family);
      await mustRun([`${program}-restore`, '--noflush', '-w', '10'], netnsFd, text);
    }
  }

  /** Families of iptables that hold rules. */
  get #families(): readonly Family[] {
    return familiesOf(this.#plan).map((family) => (family === 'IPv6' ? 'ipv6' : 'ipv4'));
  }

  async #read(netnsFd: number): Promise<readonly ReadRules[]> {
    if (this.#plan.networkPolicy === 'nft') return [{ rules: await this.#readNft(netnsFd) }];
    return Promise.all(
      this.#families.map(async (family) => {
        const argv = [`${programOf(family)}-save`, '-c', '-t', 'filter'];
        return { family, rules: readIptables(await mustRun(argv, netnsFd)) };
      }),
    );
  }

  async #readNft(netnsFd: number): Promise<readonly SeenRule[]> {
    const argv = ['nft', '--json', 'list', 'table', 'inet', POLICY_TABLE];
    const done = await run(argv, netnsFd);
    if (done.exitCode === 0) return readNft(done.stdout);
    if (/No such file or directory/.test(done.stderr)) return [];
    throw failed(argv, done);
  }
}

/** Rules of one family as the kernel has them, or of both where they share a table. */
interface ReadRules {
  readonly family?: Family;
  readonly rules: readonly SeenRule[];
}

function programOf(family: Family): 'iptables' | 'ip6tables' {
  return family === 'ipv4' ? 'iptables' : 'ip6tables';
}

function isSame(a: NetworkPolicy, b: NetworkPolicy): boolean {
  return a.metadata.name === b.metadata.name && a.metadata.namespace === b.metadata.namespace;
}

async function mustRun(argv: readonly string[], netnsFd: number, input?: string): Promise<string> {
  const done = await run(argv, netnsFd, input);
  if (done.exitCode === 0) return done.stdout;
  throw failed(argv, done, input);
}

function run(argv: readonly string[], netnsFd: number, input?: string): Promise<Captured> {
  return runCaptured(argv, { netnsFd, input, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES });
}

function failed(argv: readonly string[], done: Captured, input?: string): LabError {
  const text = `Cannot run "${argv.join(' ')}": ${done.stderr.trim()}`;
  return new LabError('LAB_BUILD_FAILED', text, { details: { ...done, argv, input } });
}
