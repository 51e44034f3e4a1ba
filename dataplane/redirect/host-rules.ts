import { CHAIN_POSTROUTING } from './constants.ts';
import { ERAS } from './era.ts';
import type { Era, TproxyRelease } from './era.ts';
import { EraNotBuildableError, RedirectOptionsError } from './errors.ts';
import { hostNftRules } from './host-nft.ts';
import { probeSource } from './probe-source.ts';
import * as reasons from './reasons.ts';
import { option, target } from './rule.ts';
import type { AddressSet, Family, FamilyRules, RedirectRule, RuleSet } from './rule.ts';
import { rule, TCP } from './vocabulary.ts';

/** Releases at which the node's part changed: set name split by family, jump put first. */
export type HostRelease = '1.21' | '1.23' | '1.27';

/** Release of the node's part that goes with the pods' part of a release with TPROXY. */
export function hostReleaseOf(release: TproxyRelease): HostRelease {
  return release === '1.21' || release === '1.22' ? '1.21' : '1.23';
}

export interface HostRulesOptions {
  readonly era: Era;
  /** By default 1.23 with era inpod-tproxy and 1.27 with inpod-redirect; no matter in inpod-nft. */
  readonly release?: HostRelease;
  readonly ipv6?: boolean;
  readonly snatIpv4?: string;
  readonly snatIpv6?: string;
  /** Uid of the process that probes; 0, as kubelet's is, when absent. Only era inpod-nft asks. */
  readonly kubeletUid?: number;
}

/**
 * What the node's netns gets so that its probes of enrolled pods go round ztunnel: a rule a family
 * and the set of pod addresses it matches (`cni/pkg/iptables/testdata/hostprobe*.golden`).
 * @throws {EraNotBuildableError} for `geneve`
 * @throws {RedirectOptionsError} for IPv6 with release 1.21, whose one set holds IPv4 addresses only
 */
export function hostRules(options: HostRulesOptions): RuleSet {
  const buildable = ERAS.filter((era) => era !== 'geneve');
  if (options.era === 'geneve' || !buildable.includes(options.era)) {
    throw new EraNotBuildableError(options.era, buildable);
  }
  const release = options.release ?? (options.era === 'inpod-tproxy' ? '1.23' : '1.27');
  if (release === '1.21' && options.ipv6 === true) {
    throw new RedirectOptionsError('ipv6', 'true', 'the set of release 1.21 holds IPv4 only');
  }
  const families: readonly Family[] = options.ipv6 === true ? ['ipv4', 'ipv6'] : ['ipv4'];
  if (options.era === 'inpod-nft') return hostNftRules(options, families);
  return {
    era: options.era,
    families: families.map((family) => hostFamily(options, release, family)),
    routing: [],
    sets: families.map((family) => probeSet(release, family)),
  };
}

/** The set of addresses of enrolled pods (hash:ip, comment = pod uid). */
export function probeSet(release: HostRelease, family: Family): AddressSet {
  const suffix = family === 'ipv4' ? '-v4' : '-v6';
  return {
    name: `istio-inpod-probes${release === '1.21' ? '' : suffix}`,
    family,
    why: reasons.PROBED_PODS,
  };
}

function hostFamily(options: HostRulesOptions, release: HostRelease, family: Family): FamilyRules {
  const snat = probeSource(options, family);
  const jump: RedirectRule = {
    table: 'nat',
    chain: 'POSTROUTING',
    position: release === '1.27' ? 'first' : 'append',
    match: [],
    target: target(CHAIN_POSTROUTING),
    why:
      release === '1.27'
        ? "Before the primary CNI's masquerading, which would give probes another source."
        : 'What leaves the node for a pod meets the probe rule.',
  };
  return { family, rules: [jump, snatProbes(probeSet(release, family), snat)] };
}

function snatProbes(set: AddressSet, snat: string): RedirectRule {
  return rule(
    'nat',
    CHAIN_POSTROUTING,
    [
      option('-m', 'owner'),
      option('--socket-exists'),
      TCP,
      option('-m', 'set'),
      option('--match-set', set.name, 'dst'),
    ],
    target('SNAT', option('--to-source', snat)),
    reasons.snatProbesOfSockets(snat),
  );
}
