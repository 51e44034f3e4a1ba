import { diffRules } from './diff.ts';
import type { Drift, PlacedRule } from './diff.ts';
import type { NftListedChain, NftListing } from './nft-listing.ts';
import { NFT_FAMILY, NFT_TABLE_PREFIX } from './nft-rule.ts';
import type { NftTable } from './nft-rule.ts';

/** What a rule set of ours is once the kernel has it, in the words of the nft that is installed. */
export interface NftPrint {
  /** Chains of ours as `table/chain`, in order. */
  readonly chains: readonly string[];
  /** Hooks of base chains, types of sets and rules, each with its reason where it has one. */
  readonly rules: readonly PlacedRule[];
}

/**
 * The parts of a listing that are ours, ready to compare.
 * @param known tables that were loaded to get this listing: their reasons go to the rules
 */
export function printOf(listing: NftListing, known: readonly NftTable[] = []): NftPrint {
  const tables = listing.tables.filter(isOurs);
  return {
    chains: tables.flatMap(({ name, chains }) => chains.map((chain) => `${name}/${chain.name}`)),
    rules: tables.flatMap(({ name, chains, sets }) => [
      ...sets.map((set) => ({ table: name, chain: `${set.kind} ${set.name}`, text: set.type })),
      ...chains.flatMap((chain) => [
        ...hookOf(name, chain),
        ...placedRules(name, chain, reasonsOf(known, name, chain)),
      ]),
    ]),
  };
}

/**
 * Compares a namespace with what it should have: tables of others do not count, everything in ours
 * does, order included. Upstream compares counts of rules alone.
 */
export function findNftDrift(wanted: NftPrint, listing: NftListing): Drift {
  const found = printOf(listing);
  const diff = diffRules(wanted.rules, found.rules);
  const missingChains = wanted.chains.filter((chain) => !found.chains.includes(chain));
  const leftoverChains = found.chains.filter((chain) => !wanted.chains.includes(chain));
  const faults = [diff.missing, diff.extra, diff.reordered, missingChains, leftoverChains];
  return {
    ...diff,
    missingChains,
    leftoverChains,
    hasResidue: found.chains.length > 0,
    isClean: faults.every((list) => list.length === 0),
  };
}

/** Tables of the redirect that exist, wanted or not. */
export function ourTables(listing: NftListing): readonly string[] {
  return listing.tables.filter(isOurs).map(({ name }) => name);
}

/**
 * Commands that take everything of ours away but tables and sets that are `kept`, to stand before
 * those that load a set anew: what a transaction of nft does is there as a whole or not at all.
 */
export function clearCommands(
  listing: NftListing,
  kept: readonly NftTable[] = [],
): readonly string[] {
  return listing.tables.filter(isOurs).flatMap((table) => {
    const name = `${NFT_FAMILY} ${table.name}`;
    const wanted = kept.find((each) => each.name === table.name);
    if (wanted === undefined) return [`delete table ${name}`];
    const strange = table.sets.filter(
      (set) => !wanted.sets.some((own) => own.name === set.name && `type ${own.type}` === set.type),
    );
    return [
      `flush table ${name}`,
      ...table.chains.map((chain) => `delete chain ${name} ${chain.name}`),
      ...strange.map((set) => `delete ${set.kind} ${name} ${set.name}`),
    ];
  });
}

function isOurs(table: { readonly family: string; readonly name: string }): boolean {
  return table.family === NFT_FAMILY && table.name.startsWith(NFT_TABLE_PREFIX);
}

function hookOf(table: string, { name, base }: NftListedChain): readonly PlacedRule[] {
  if (base === undefined) return [];
  const { type, hook, priority, policy } = base;
  const text = `type ${type} hook ${hook} priority ${priority}; policy ${policy};`;
  return [{ table, chain: name, text }];
}

function placedRules(
  table: string,
  chain: NftListedChain,
  reasons: readonly string[],
): readonly PlacedRule[] {
  return chain.rules.map(({ normal }, index) => {
    const why = reasons[index];
    return { table, chain: chain.name, text: normal, ...(why === undefined ? {} : { why }) };
  });
}

/** Reasons of a chain's rules in order; none when the listing is of something else. */
function reasonsOf(
  known: readonly NftTable[],
  table: string,
  chain: NftListedChain,
): readonly string[] {
  const own = known.find((each) => each.name === table);
  const rules = own?.rules.filter((rule) => rule.chain === chain.name) ?? [];
  return rules.length === chain.rules.length ? rules.map(({ why }) => why) : [];
}
