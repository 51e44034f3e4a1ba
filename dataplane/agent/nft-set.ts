import { nftSet } from '../redirect/host-nft.ts';
import { addSet } from '../redirect/nft-render.ts';
import { NFT_FAMILY } from '../redirect/nft-rule.ts';
import { NftListingError } from '../redirect/errors.ts';
import type { AddressSet, Family } from '../redirect/rule.ts';
import { loadNft } from './nft-in-netns.ts';
import { DEFAULT_PROGRAMS, runProgram } from './programs.ts';
import type { RulesPlace } from './rules-in-netns.ts';
import type { SetMember } from './set-member.ts';

/** A set of addresses in a table of nftables. */
export interface NftAddressSet {
  readonly table: string;
  readonly name: string;
  readonly family: Family;
}

/** @returns the set with its table; nothing for an ipset */
export function asNftSet(set: AddressSet): NftAddressSet | undefined {
  const { table, name, family } = set;
  return table === undefined ? undefined : { table, name, family };
}

/** Makes table and set exist and the set be empty. */
export async function createNftSet(place: RulesPlace, set: NftAddressSet): Promise<void> {
  await loadNft(place, [
    `add table ${NFT_FAMILY} ${set.table}`,
    addSet(set.table, nftSet(set.family)),
    `flush set ${NFT_FAMILY} ${set.table} ${set.name}`,
  ]);
}

/** Puts addresses in, or changes whose they are: adding one that is there would keep its comment. */
export async function upsertNftMembers(
  place: RulesPlace,
  set: NftAddressSet,
  members: readonly SetMember[],
): Promise<void> {
  const at = `element ${NFT_FAMILY} ${set.table} ${set.name}`;
  await loadNft(
    place,
    members.flatMap(({ address, uid }) => [
      `add ${at} { ${address} }`,
      `delete ${at} { ${address} }`,
      `add ${at} { ${address} comment "${uid}" }`,
    ]),
  );
}

/** Takes addresses out; all of them must be there. */
export async function removeNftMembers(
  place: RulesPlace,
  set: NftAddressSet,
  members: readonly SetMember[],
): Promise<void> {
  await loadNft(
    place,
    members.map(
      ({ address }) => `delete element ${NFT_FAMILY} ${set.table} ${set.name} { ${address} }`,
    ),
  );
}

/**
 * What is in the set.
 * @throws {ProgramError} when there is no such set
 */
export async function listNftMembers(
  place: RulesPlace,
  set: NftAddressSet,
): Promise<readonly SetMember[]> {
  const program = (place.programs ?? DEFAULT_PROGRAMS).nft;
  const argv = [program, '-j', 'list', 'set', NFT_FAMILY, set.table, set.name] as const;
  return parseNftMembers(await runProgram(argv, place));
}

/** Ends the table with all that is in it, as upstream ends its sets; twice is as good as once. */
export async function destroyNftSet(place: RulesPlace, set: NftAddressSet): Promise<void> {
  const table = `table ${NFT_FAMILY} ${set.table}`;
  await loadNft(place, [`add ${table}`, `delete ${table}`]);
}

/**
 * Members out of the JSON of `nft -j list set` (libnftables-json(5)).
 * @throws {NftListingError} when it is something else
 */
export function parseNftMembers(text: string): readonly SetMember[] {
  const objects = field(parseJson(text), 'nftables');
  const set = (Array.isArray(objects) ? (objects as readonly unknown[]) : [])
    .map((object) => field(object, 'set'))
    .find((found) => found !== undefined);
  if (set === undefined) throw new NftListingError(1, 1, 'no set in it');
  const elements = field(set, 'elem');
  return (Array.isArray(elements) ? (elements as readonly unknown[]) : []).map(memberOf);
}

/** An element is its value, or an object with value and comment. */
function memberOf(element: unknown): SetMember {
  if (typeof element === 'string') return { address: element, uid: '' };
  const value = field(field(element, 'elem'), 'val');
  const comment = field(field(element, 'elem'), 'comment');
  if (typeof value !== 'string') throw new NftListingError(1, 1, 'an element without a value');
  return { address: value, uid: typeof comment === 'string' ? comment : '' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new NftListingError(1, 1, `no JSON, ${(error as Error).message}`);
  }
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
