import { readFileSync } from 'node:fs';
import { NetlinkSocket } from '../kernel/netlink.ts';
import { withNetns } from '../kernel/netns.ts';
import { listNftTables } from '../kernel/nftables.ts';
import type { NftTableName } from '../kernel/nftables.ts';
import { ourChains } from '../redirect/diff.ts';
import { IPTABLES_BACKENDS } from '../redirect/era.ts';
import type { IptablesBackend } from '../redirect/era.ts';
import { NFT_FAMILY, NFT_TABLE_PREFIX } from '../redirect/nft-rule.ts';
import type { Family } from '../redirect/rule.ts';
import { removeNft } from './apply-nft.ts';
import { deleteRulesText } from './delete-rules.ts';
import { hasGuardrails, removeGuardrails } from './guardrails.ts';
import { DEFAULT_PROGRAMS, programsOf } from './programs.ts';
import { readRules, restoreRules } from './rules-in-netns.ts';
import type { RulesPlace } from './rules-in-netns.ts';

/** What may hold rules of the redirect in a netns. */
export type Mechanism = 'nftables' | `iptables-${IptablesBackend}`;

/** Lists of legacy tables that were ever used in a netns; reading them makes none. */
const LEGACY_TABLES: Readonly<Record<Family, string>> = {
  ipv4: '/proc/net/ip_tables_names',
  ipv6: '/proc/net/ip6_tables_names',
};

/**
 * Takes out what another era or another backend of iptables left of the redirect: rules of two
 * mechanisms hold side by side, and one cannot see the other. Looks first without any process.
 * @param own the mechanism whose rules are right here
 * @returns whether anything was there
 * @throws {ProgramError} when it cannot be taken out
 */
export async function removeLeftovers(own: Mechanism, place: RulesPlace): Promise<boolean> {
  let isChanged = false;
  const tables = nftTablesIn(place.netns);
  if (own !== 'nftables' && tables.some(isOurs)) isChanged = await removeNft(place);
  for (const backend of IPTABLES_BACKENDS) {
    if (own === `iptables-${backend}`) continue;
    for (const family of ['ipv4', 'ipv6'] as const) {
      if (!mayHaveRules(backend, family, place.netns, tables)) continue;
      const programs = programsOf(backend, place.programs ?? DEFAULT_PROGRAMS);
      isChanged = (await removeOurs({ ...place, programs }, family)) || isChanged;
    }
  }
  return isChanged;
}

async function removeOurs(place: RulesPlace, family: Family): Promise<boolean> {
  const saved = await readRules(place, family);
  const hasChains = ourChains(saved).length > 0;
  const isGuarded = hasGuardrails(saved);
  if (hasChains) await restoreRules(place, family, deleteRulesText(saved));
  if (isGuarded) await restoreRules(place, family, removeGuardrails());
  return hasChains || isGuarded;
}

/** Whether a backend has tables of a family in a netns at all; asks without making any. */
export function mayHaveRules(
  backend: IptablesBackend,
  family: Family,
  netns: number | undefined,
  tables = nftTablesIn(netns),
): boolean {
  if (backend === 'legacy') return readIn(netns, LEGACY_TABLES[family]).trim() !== '';
  return tables.some((table) => table.family === (family === 'ipv4' ? 'ip' : 'ip6'));
}

/** Tables of nf_tables in a netns; none where the kernel has no nf_tables. */
function nftTablesIn(netns: number | undefined): readonly NftTableName[] {
  using socket = new NetlinkSocket({
    protocol: 'netfilter',
    ...(netns === undefined ? {} : { netns }),
  });
  try {
    return listNftTables(socket);
  } catch {
    return [];
  }
}

function isOurs({ family, name }: NftTableName): boolean {
  return family === NFT_FAMILY && name.startsWith(NFT_TABLE_PREFIX);
}

function readIn(netns: number | undefined, path: string): string {
  const read = (): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  return netns === undefined ? read() : withNetns(netns, read);
}
