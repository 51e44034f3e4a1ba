import { isIPv4, isIPv6 } from 'node:net';
import { HOST_PROBE_IPV4, HOST_PROBE_IPV6 } from '../constants.ts';
import { hostRules } from '../host-rules.ts';
import type { NftListing } from '../nft-listing.ts';
import { NFT_FAMILY, NFT_NAT_TABLE, NFT_PREROUTING, type NftTable } from '../nft-rule.ts';
import { podRules } from '../pod-rules.ts';
import type { RoutingEntry } from '../rule.ts';
import type { RuleSetOption, SetKind } from './candidate.ts';

/** One rule set of Istio's in nftables, to compare a listing with. */
export interface NftCandidate {
  readonly set: SetKind;
  readonly title: string;
  readonly releases: string;
  readonly options: readonly RuleSetOption[];
  readonly tables: readonly NftTable[];
  readonly routing: readonly RoutingEntry[];
}

const RELEASES = '1.28 → with nativeNftables';

/** Every rule set that the listing may be, with the values that it has for what may be chosen. */
export function nftCandidates(listing: NftListing): readonly NftCandidate[] {
  const chosen = chosenIn(listing);
  const both = [true, false] as const;
  const pods = both.flatMap((dnsCapture) =>
    both.flatMap((isCaptured) =>
      both.map((hasIpv4Only) => pod(chosen, dnsCapture, !isCaptured, !hasIpv4Only)),
    ),
  );
  return [...pods, ...both.map((hasIpv4Only) => node(chosen, !hasIpv4Only))];
}

interface Chosen {
  readonly probeAddress: string;
  readonly probeAddressIpv6: string;
  readonly kubeletUid: number;
  readonly virtualInterfaces: readonly string[];
}

function pod(
  chosen: Chosen,
  dnsCapture: boolean,
  bypassInbound: boolean,
  ipv6: boolean,
): NftCandidate {
  const { probeAddress, probeAddressIpv6, virtualInterfaces } = chosen;
  const probes = { probeAddress, probeAddressIpv6, virtualInterfaces };
  const rules = podRules({ era: 'inpod-nft', dnsCapture, bypassInbound, ipv6, ...probes });
  return {
    set: { kind: 'pod', era: 'inpod-nft' },
    title: 'in-pod redirect by nftables, an enrolled pod',
    releases: RELEASES,
    options: [
      { name: 'families', value: ipv6 ? 'IPv4 and IPv6' : 'IPv4' },
      { name: 'DNS capture', value: dnsCapture ? 'on' : 'off' },
      { name: 'inbound', value: bypassInbound ? 'bypassed (ingress annotation)' : 'captured' },
      ...(virtualInterfaces.length === 0
        ? []
        : [{ name: 'virtual interfaces', value: virtualInterfaces.join(', ') }]),
      ...probeOptions(chosen, ipv6),
    ],
    tables: rules.nft ?? [],
    routing: rules.routing,
  };
}

function node(chosen: Chosen, ipv6: boolean): NftCandidate {
  const { probeAddress: snatIpv4, probeAddressIpv6: snatIpv6, kubeletUid } = chosen;
  const rules = hostRules({ era: 'inpod-nft', ipv6, snatIpv4, snatIpv6, kubeletUid });
  return {
    set: { kind: 'node', era: 'inpod-nft' },
    title: 'the node of in-pod redirect by nftables, its probes exempt',
    releases: RELEASES,
    options: [
      { name: 'families', value: ipv6 ? 'IPv4 and IPv6' : 'IPv4' },
      { name: "kubelet's user", value: String(kubeletUid) },
      ...probeOptions(chosen, ipv6),
    ],
    tables: rules.nft ?? [],
    routing: [],
  };
}

/** Addresses of probes that are not Istio's default. */
function probeOptions(
  { probeAddress, probeAddressIpv6 }: Chosen,
  ipv6: boolean,
): readonly RuleSetOption[] {
  const name = 'probe address';
  const ipv4Option = probeAddress === HOST_PROBE_IPV4 ? [] : [{ name, value: probeAddress }];
  const isOther = ipv6 && probeAddressIpv6 !== HOST_PROBE_IPV6;
  return [...ipv4Option, ...(isOther ? [{ name, value: probeAddressIpv6 }] : [])];
}

function chosenIn(listing: NftListing): Chosen {
  const nat = listing.tables.find(
    ({ family, name }) => family === NFT_FAMILY && name === NFT_NAT_TABLE,
  );
  const inbound = nat?.chains.find(({ name }) => name === NFT_PREROUTING)?.rules ?? [];
  const all = (nat?.chains ?? []).flatMap(({ rules }) => rules.map(({ normal }) => normal));
  const value = (pattern: RegExp): string | undefined =>
    all.map((text) => pattern.exec(text)?.[1]).find((found) => found !== undefined);
  const ipv4 = value(/ ip saddr (\S+) .*accept$/) ?? value(/ snat (?:ip )?to ([\d.]+)$/);
  const ipv6 = value(/ ip6 saddr (\S+) .*accept$/) ?? value(/ snat (?:ip6 )?to (\S*:\S*)$/);
  const uid = value(/skuid "?(\w+)"?/);
  const names = inbound.flatMap(({ normal }) => {
    const name = /^iifname "?([\w.:@][\w.:@-]{0,14})"? .*redirect/.exec(normal)?.[1];
    return name === undefined ? [] : [name];
  });
  return {
    probeAddress: isIPv4(ipv4 ?? '') ? (ipv4 as string) : HOST_PROBE_IPV4,
    probeAddressIpv6: isIPv6(ipv6 ?? '') ? (ipv6 as string) : HOST_PROBE_IPV6,
    kubeletUid: /^\d{1,9}$/.test(uid ?? '') ? Number(uid) : 0,
    virtualInterfaces: [...new Set(names)].slice(0, 64),
  };
}
