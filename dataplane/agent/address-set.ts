import { addToIpset } from '../kernel/ipset.ts';
import { NetlinkSocket } from '../kernel/netlink.ts';
import type { AddressSet } from '../redirect/rule.ts';
import { SavedRulesError } from '../redirect/errors.ts';
import { tokenise } from '../redirect/tokenise.ts';
import {
  asNftSet,
  createNftSet,
  destroyNftSet,
  listNftMembers,
  removeNftMembers,
  upsertNftMembers,
} from './nft-set.ts';
import { DEFAULT_PROGRAMS, runProgram } from './programs.ts';
import type { RulesPlace } from './rules-in-netns.ts';
import type { SetMember } from './set-member.ts';

/**
 * Makes the set exist (an ipset hash:ip with comments, or a set of nftables) and be empty, as at the
 * start of Istio's agent.
 * @throws {ProgramError} when a set of another type has the name
 */
export async function createSet(place: RulesPlace, set: AddressSet): Promise<void> {
  const nft = asNftSet(set);
  if (nft !== undefined) return createNftSet(place, nft);
  const family = set.family === 'ipv4' ? 'inet' : 'inet6';
  await ipset(place, [
    `create ${set.name} hash:ip family ${family} comment -exist`,
    `flush ${set.name}`,
  ]);
}

/** Puts addresses of a pod in, or changes whose they are: addresses are used again. */
export async function upsertMembers(
  place: RulesPlace,
  set: AddressSet,
  members: readonly SetMember[],
): Promise<void> {
  if (members.length === 0) return;
  const nft = asNftSet(set);
  if (nft !== undefined) return upsertNftMembers(place, nft, members);
  if (addByNetlink(place, set, members)) return;
  await ipset(
    place,
    members.map(({ address, uid }) => `add ${set.name} ${address} comment "${uid}" -exist`),
  );
}

/** Takes addresses of a pod out, those that are still this pod's and not its successor's. */
export async function removeMembers(
  place: RulesPlace,
  set: AddressSet,
  members: readonly SetMember[],
): Promise<void> {
  const present = await listMembers(place, set);
  const own = members.filter((member) =>
    present.some((other) => other.address === member.address && other.uid === member.uid),
  );
  if (own.length === 0) return;
  const nft = asNftSet(set);
  if (nft !== undefined) return removeNftMembers(place, nft, own);
  await ipset(
    place,
    own.map(({ address }) => `del ${set.name} ${address} -exist`),
  );
}

/**
 * What is in the set.
 * @throws {ProgramError} when there is no such set
 */
export async function listMembers(
  place: RulesPlace,
  set: AddressSet,
): Promise<readonly SetMember[]> {
  const nft = asNftSet(set);
  if (nft !== undefined) return listNftMembers(place, nft);
  const program = (place.programs ?? DEFAULT_PROGRAMS).ipset;
  return parseSetMembers(set.name, await runProgram([program, 'save', set.name], place));
}

/**
 * Members out of the text of `ipset save <name>`.
 * @throws {SavedRulesError} when it is something else
 */
export function parseSetMembers(setName: string, text: string): readonly SetMember[] {
  return text.split('\n').flatMap((line, index) => {
    const [verb, name, address, ...rest] = tokenise(line, index + 1).map((token) => token.text);
    if (verb !== 'add') return [];
    if (name !== setName || address === undefined) {
      throw new SavedRulesError(index + 1, 1, 'no line of ipset save');
    }
    const at = rest.indexOf('comment');
    return [{ address, uid: at === -1 ? '' : (rest[at + 1] ?? '') }];
  });
}

/** Ends the set; an ipset must not be named by any rule still. */
export async function destroySet(place: RulesPlace, set: AddressSet): Promise<void> {
  const nft = asNftSet(set);
  if (nft !== undefined) return destroyNftSet(place, nft);
  await ipset(place, [`destroy ${set.name}`]);
}

/** Whether the kernel took them; what is wrong with them if not, the program finds words for. */
function addByNetlink(
  { netns }: RulesPlace,
  set: AddressSet,
  members: readonly SetMember[],
): boolean {
  try {
    using socket = new NetlinkSocket({
      protocol: 'netfilter',
      ...(netns !== undefined && { netns }),
    });
    socket.request(members.map(({ address, uid }) => addToIpset(set.name, address, uid)));
    return true;
  } catch {
    return false;
  }
}

async function ipset(place: RulesPlace, lines: readonly string[]): Promise<void> {
  const program = (place.programs ?? DEFAULT_PROGRAMS).ipset;
  await runProgram([program, 'restore'], { ...place, input: `${lines.join('\n')}\n` });
}
