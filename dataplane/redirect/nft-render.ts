import type { NftChain, NftSet, NftTable } from './nft-rule.ts';
import { NFT_FAMILY } from './nft-rule.ts';

/**
 * Input of `nft -f`, one transaction: each table is made if need be and emptied of rules, then gets
 * its chains and rules. Elements of sets that are there stay.
 */
export function renderNft(tables: readonly NftTable[]): string {
  return `${nftCommands(tables).join('\n')}\n`;
}

/** The same line by line: what a person would type behind `nft`. */
export function nftCommands(tables: readonly NftTable[]): readonly string[] {
  return tables.flatMap((table) => {
    const name = `${NFT_FAMILY} ${table.name}`;
    return [
      `add table ${name}`,
      `flush table ${name}`,
      ...table.sets.map((set) => addSet(table.name, set)),
      ...table.chains.map((chain) => `add chain ${name} ${chain.name}${hookOf(chain)}`),
      ...table.rules.map((rule) => `add rule ${name} ${rule.chain} ${rule.statements.join(' ')}`),
    ];
  });
}

/** The command that makes a set; a set of the same type that is there stays as it is. */
export function addSet(table: string, set: NftSet): string {
  return (
    `add set ${NFT_FAMILY} ${table} ${set.name} ` +
    `{ type ${set.type} ; comment "${set.comment}" ; }`
  );
}

function hookOf({ base }: NftChain): string {
  if (base === undefined) return '';
  return ` { type ${base.type} hook ${base.hook} priority ${base.priority} ; }`;
}
