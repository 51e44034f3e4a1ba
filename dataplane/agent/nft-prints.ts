import { closeNetns, createNetns } from '../kernel/netns.ts';
import { printOf } from '../redirect/nft-drift.ts';
import type { NftPrint } from '../redirect/nft-drift.ts';
import { nftCommands } from '../redirect/nft-render.ts';
import type { NftTable } from '../redirect/nft-rule.ts';
import { listNft, loadNft } from './nft-in-netns.ts';
import type { RulesPlace } from './rules-in-netns.ts';

/**
 * How rule sets look once the kernel has them. Versions of nft print one rule in different words,
 * so each set is loaded once into a namespace of its own and listed there; only what the kernel
 * holds is compared then, not spellings.
 */
export class NftPrints {
  readonly #prints = new Map<string, Promise<NftPrint>>();

  /** @throws {ProgramError} when nft refuses the rules */
  of(tables: readonly NftTable[], place: Omit<RulesPlace, 'netns'>): Promise<NftPrint> {
    const commands = nftCommands(tables);
    const key = commands.join('\n');
    const known = this.#prints.get(key);
    if (known !== undefined) return known;
    const print = printIn(tables, commands, place);
    this.#prints.set(key, print);
    // A failure may be of the moment; the next one who asks tries again.
    print.catch(() => this.#prints.delete(key));
    return print;
  }
}

async function printIn(
  tables: readonly NftTable[],
  commands: readonly string[],
  place: Omit<RulesPlace, 'netns'>,
): Promise<NftPrint> {
  const netns = createNetns();
  try {
    await loadNft({ ...place, netns }, commands);
    return printOf(await listNft({ ...place, netns }), tables);
  } finally {
    closeNetns(netns);
  }
}
