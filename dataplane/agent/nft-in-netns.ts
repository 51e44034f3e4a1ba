import type { NftListing } from '../redirect/nft-listing.ts';
import { parseNft } from '../redirect/parse-nft.ts';
import { DEFAULT_PROGRAMS, runProgram } from './programs.ts';
import type { RulesPlace } from './rules-in-netns.ts';

/**
 * All tables of nftables in a netns, priorities as numbers; those of iptables' nft backend are among
 * them, in the words of nft.
 * @throws {ProgramError}
 * @throws {NftListingError} when the program prints what it never should
 */
export async function listNft(place: RulesPlace): Promise<NftListing> {
  const program = (place.programs ?? DEFAULT_PROGRAMS).nft;
  const { netns, signal } = place;
  return parseNft(await runProgram([program, '-y', 'list', 'ruleset'], { netns, signal }));
}

/**
 * Carries out commands of nft as one transaction: all of them, or nothing has changed.
 * @throws {ProgramError}
 */
export async function loadNft(place: RulesPlace, commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return;
  const program = (place.programs ?? DEFAULT_PROGRAMS).nft;
  await runProgram([program, '-f', '-'], { ...place, input: `${commands.join('\n')}\n` });
}
