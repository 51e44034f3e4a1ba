import { clearCommands, findNftDrift, ourTables } from '../redirect/nft-drift.ts';
import { nftCommands } from '../redirect/nft-render.ts';
import type { NftTable } from '../redirect/nft-rule.ts';
import type { ApplyOptions, ApplyResult } from './apply-options.ts';
import { RulesMismatchError } from './errors.ts';
import { listNft, loadNft } from './nft-in-netns.ts';
import { NftPrints } from './nft-prints.ts';

/**
 * Makes a netns have exactly these tables of ours, and reads them back. What is wrong goes and what
 * is right comes in one transaction, so nothing passes between the two and no guardrails are needed.
 * Elements of sets that are right stay.
 * @throws {ProgramError} when nft refuses
 * @throws {RulesMismatchError} when the kernel has something else then
 */
export async function applyNft(
  tables: readonly NftTable[],
  options: ApplyOptions,
): Promise<ApplyResult> {
  const { programs, signal, prints = new NftPrints() } = options;
  const listing = await listNft(options);
  const wanted = await prints.of(tables, { programs, signal });
  const drift = findNftDrift(wanted, listing);
  if (drift.isClean) return 'unchanged';
  await loadNft(options, [...clearCommands(listing, tables), ...nftCommands(tables)]);
  await options.observe?.('applied', 'inet');
  const left = findNftDrift(wanted, await listNft(options));
  if (!left.isClean) throw new RulesMismatchError('inet', left);
  return drift.hasResidue ? 'repaired' : 'applied';
}

/**
 * Takes every table of ours out of a netns, in one transaction.
 * @returns whether there were any
 * @throws {ProgramError} when nft refuses
 * @throws {RulesMismatchError} when one is there afterwards
 */
export async function removeNft(options: Omit<ApplyOptions, 'guardrails'>): Promise<boolean> {
  const listing = await listNft(options);
  if (ourTables(listing).length === 0) return false;
  await loadNft(options, clearCommands(listing));
  await options.observe?.('deleted', 'inet');
  const left = await listNft(options);
  if (ourTables(left).length === 0) return true;
  throw new RulesMismatchError('inet', findNftDrift({ chains: [], rules: [] }, left));
}
