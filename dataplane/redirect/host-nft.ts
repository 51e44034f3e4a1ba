import { NFT_NAT_TABLE } from './nft-rule.ts';
import type { NftRule, NftSet } from './nft-rule.ts';
import { probeSource } from './probe-source.ts';
import type { ProbeSources } from './probe-source.ts';
import * as reasons from './reasons.ts';
import type { AddressSet, Family, RuleSet } from './rule.ts';

const POSTROUTING = 'postrouting';
/** Text of `cni/pkg/nftables/host_sets.go`, which stands in every listing of a node. */
const SET_COMMENT = 'UUID of the pods that are part of ambient mesh';

export interface HostNftOptions extends ProbeSources {
  readonly kubeletUid?: number;
}

/**
 * The node's part in era inpod-nft: one table with the sets of probed pods and a rule a family
 * (`cni/pkg/nftables/testdata/hostprobe*.golden`). There is no chain of its own to jump to.
 */
export function hostNftRules(options: HostNftOptions, families: readonly Family[]): RuleSet {
  const table = {
    name: NFT_NAT_TABLE,
    sets: families.map(nftSet),
    chains: [
      {
        name: POSTROUTING,
        base: { type: 'nat' as const, hook: 'postrouting' as const, priority: 100 },
      },
    ],
    rules: families.map((family) => snatProbes(options, family)),
  };
  return { era: 'inpod-nft', families: [], nft: [table], routing: [], sets: families.map(setOf) };
}

function setOf(family: Family): AddressSet {
  return { name: nameOf(family), family, table: NFT_NAT_TABLE, why: reasons.PROBED_PODS };
}

/** The set as nft makes it. */
export function nftSet(family: Family): NftSet {
  const type = family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr';
  return { name: nameOf(family), type, comment: SET_COMMENT };
}

function snatProbes(options: HostNftOptions, family: Family): NftRule {
  const snat = probeSource(options, family);
  const uid = options.kubeletUid ?? 0;
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  return {
    chain: POSTROUTING,
    statements: [
      'meta l4proto tcp',
      `meta skuid ${uid}`,
      `${ip} daddr @${nameOf(family)}`,
      'counter',
      `snat ${ip} to ${snat}`,
    ],
    why: reasons.snatProbesOfUser(snat, uid),
  };
}

function nameOf(family: Family): string {
  return `istio-inpod-probes-${family === 'ipv4' ? 'v4' : 'v6'}`;
}
