import { isIP } from 'node:net';
import { HOST_PROBE_IPV4, HOST_PROBE_IPV6 } from './constants.ts';
import { DEFAULT_TPROXY_RELEASE, ERAS } from './era.ts';
import type { Era, TproxyRelease } from './era.ts';
import { EraNotBuildableError, RedirectOptionsError } from './errors.ts';
import { inpodNftTables } from './inpod-nft.ts';
import { inpodRedirectRules } from './inpod-redirect.ts';
import { inpodTproxyRules } from './inpod-tproxy.ts';
import type { NftTable } from './nft-rule.ts';
import { podRouting } from './routing.ts';
import type { Family, FamilyRules, RuleSet } from './rule.ts';

export interface PodRulesOptions {
  readonly era: Era;
  /** Send DNS questions of the app to ztunnel on 15053. */
  readonly dnsCapture: boolean;
  /** Annotation ambient.istio.io/bypass-inbound-capture: nothing inbound is redirected. */
  readonly bypassInbound?: boolean;
  /** Annotation istio.io/reroute-virtual-interfaces: what comes in there counts as outbound. */
  readonly virtualInterfaces?: readonly string[];
  /** Rules for both families; only IPv4 when false. */
  readonly ipv6?: boolean;
  /** Address that the node's probes wear; the default of Istio when absent. */
  readonly probeAddress?: string;
  readonly probeAddressIpv6?: string;
  /** Release whose TPROXY rules are meant; 1.24 adds DNS over TCP and conntrack zones. */
  readonly tproxyRelease?: TproxyRelease;
}

/** What the generators of the eras need to know for one family. */
export interface FamilyOptions {
  readonly dnsCapture: boolean;
  readonly bypassInbound: boolean;
  readonly virtualInterfaces: readonly string[];
  readonly probeAddress: string;
  /** The loopback address as a host prefix: the one destination that is never captured. */
  readonly loopback: string;
  readonly tproxyRelease: TproxyRelease;
}

/**
 * Everything an enrolled pod's netns gets: rules, policy routing, each with its reason.
 * @throws {EraNotBuildableError} for what is none of the eras
 * @throws {RedirectOptionsError} for what the era has not, or a bad address or interface name
 */
export function podRules(options: PodRulesOptions): RuleSet {
  if (!ERAS.includes(options.era)) throw new EraNotBuildableError(options.era, ERAS);
  checkOptions(options);
  // Era geneve works on the node; in pods it does nothing.
  if (options.era === 'geneve') return { era: 'geneve', families: [], routing: [], sets: [] };
  const families: readonly Family[] = options.ipv6 === true ? ['ipv4', 'ipv6'] : ['ipv4'];
  const common = {
    era: options.era,
    routing: families.flatMap((family) => podRouting(family)),
    sets: [],
  };
  if (options.era === 'inpod-nft')
    return { ...common, families: [], nft: nftTables(options, families) };
  return { ...common, families: families.map((family) => familyRules(options, family)) };
}

function nftTables(options: PodRulesOptions, families: readonly Family[]): readonly NftTable[] {
  const each = families.map((family) => ({ family, ...familyOptions(options, family) }));
  return each[0] === undefined ? [] : inpodNftTables({ ...each[0], families: each });
}

function familyRules(options: PodRulesOptions, family: Family): FamilyRules {
  const generate = options.era === 'inpod-tproxy' ? inpodTproxyRules : inpodRedirectRules;
  return { family, rules: generate(familyOptions(options, family)) };
}

function familyOptions(options: PodRulesOptions, family: Family): FamilyOptions {
  const isIpv4 = family === 'ipv4';
  return {
    dnsCapture: options.dnsCapture,
    bypassInbound: options.bypassInbound ?? false,
    virtualInterfaces: options.virtualInterfaces ?? [],
    probeAddress: isIpv4
      ? (options.probeAddress ?? HOST_PROBE_IPV4)
      : (options.probeAddressIpv6 ?? HOST_PROBE_IPV6),
    loopback: isIpv4 ? '127.0.0.1/32' : '::1/128',
    tproxyRelease: options.tproxyRelease ?? DEFAULT_TPROXY_RELEASE,
  };
}

function checkOptions(options: PodRulesOptions): void {
  requireAddress('probeAddress', options.probeAddress, 4);
  requireAddress('probeAddressIpv6', options.probeAddressIpv6, 6);
  const interfaces = options.virtualInterfaces ?? [];
  for (const name of interfaces) {
    // Names go into text that iptables-restore reads: whoever writes an annotation must not write rules.
    if (!/^[\w.:@-]{1,15}$/.test(name) || name.startsWith('-')) {
      throw new RedirectOptionsError('virtual interface', name, 'no name of a network interface');
    }
  }
  if (options.era !== 'inpod-tproxy') return;
  const release = options.tproxyRelease ?? DEFAULT_TPROXY_RELEASE;
  if (options.bypassInbound === true && release !== '1.24') {
    const reason = `release ${release} of era inpod-tproxy does not know it, 1.24 does`;
    throw new RedirectOptionsError('bypassInbound', 'true', reason);
  }
  if (interfaces.length > 0) {
    const names = interfaces.join(',');
    throw new RedirectOptionsError('virtualInterfaces', names, 'era inpod-tproxy knows none');
  }
}

function requireAddress(name: string, value: string | undefined, version: 4 | 6): void {
  if (value === undefined || isIP(value) === version) return;
  throw new RedirectOptionsError(name, value, `an IPv${version} address is wished`);
}
