import type { AddressSet } from '../redirect/rule.ts';
import { SavedRulesError } from '../redirect/errors.ts';
import { tokenise } from '../redirect/tokenise.ts';
import { DEFAULT_PROGRAMS, runProgram } from './programs.ts';
import type { RulesPlace } from './rules-in-netns.ts';

/** One member of a set with the uid of the pod it is there for. */
export interface SetMember {
  readonly address: string;
  readonly uid: string;
}

/**
 * Makes the set exist (hash:ip with comments) and be empty, as at the start of Istio's agent.
 * @throws {ProgramError} when a set of another type has the name
 */
export async function createSet(place: RulesPlace, set: AddressSet): Promise<void> {
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
  const program = (place.programs ?? DEFAULT_PROGRAMS).ipset;
  const text = await runProgram([program, 'save', set.name], place);
  return text.split('\n').flatMap((line, index) => {
    const [verb, name, address, ...rest] = tokenise(line, index + 1).map((token) => token.text);
    if (verb !== 'add') return [];
    if (name !== set.name || address === undefined) {
      throw new SavedRulesError(index + 1, 1, 'no line of ipset save');
    }
    const at = rest.indexOf('comment');
    return [{ address, uid: at === -1 ? '' : (rest[at + 1] ?? '') }];
  });
}

/** Ends the set; fails while a rule still names it. */
export async function destroySet(place: RulesPlace, set: AddressSet): Promise<void> {
  await ipset(place, [`destroy ${set.name}`]);
}

async function ipset(place: RulesPlace, lines: readonly string[]): Promise<void> {
  const program = (place.programs ?? DEFAULT_PROGRAMS).ipset;
  await runProgram([program, 'restore'], { ...place, input: `${lines.join('\n')}\n` });
}
