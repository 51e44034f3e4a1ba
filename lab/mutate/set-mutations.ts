import { parseSetMembers } from '../../dataplane/agent/address-set.ts';
import { parseNftMembers } from '../../dataplane/agent/nft-set.ts';
import type { SetMember } from '../../dataplane/agent/set-member.ts';
import type { AddressSet } from '../../dataplane/redirect/rule.ts';
import { setCommand } from '../run/read-sets.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { inPlace } from '../world/in-place.ts';
import type { PlaceGroup } from './places.ts';

interface Held {
  readonly place: string;
  readonly set: AddressSet;
  readonly members: readonly SetMember[];
}

/** Each address of each set taken out, and the sets emptied. */
export async function setMutations(
  lab: Lab,
  { prefix, places }: PlaceGroup,
): Promise<readonly Mutation[]> {
  const held = await Promise.all(
    places.flatMap(({ place, wanted }) =>
      (wanted?.sets ?? []).map(async (set): Promise<Held> => {
        const text = await inPlace(lab, place, setCommand(set));
        const members =
          set.table === undefined ? parseSetMembers(set.name, text) : parseNftMembers(text);
        return { place, set, members };
      }),
    ),
  );
  const names = [...new Set(held.map(({ set }) => set.name))];
  return names.flatMap((name) => {
    const holders = held.filter(({ set }) => set.name === name);
    const all = mutationOf(`${prefix}set ${name} | emptied`, 'emptied', holders);
    const addresses = [...new Set(holders.flatMap(({ members }) => members.map(addressOf)))];
    const single = addresses.sort().map((address) => {
      const ofAddress = holders
        .map((one) => ({ ...one, members: one.members.filter((m) => m.address === address) }))
        .filter(({ members }) => members.length > 0);
      return mutationOf(
        `${prefix}set ${name} | without ${address}`,
        `without ${address}`,
        ofAddress,
      );
    });
    return [...single, all];
  });
}

const addressOf = ({ address }: SetMember): string => address;

function mutationOf(id: string, change: string, holders: readonly Held[]): Mutation {
  const set = holders[0]?.set;
  const each = async (
    lab: Lab,
    argv: (held: Held, member: SetMember) => readonly [string, ...string[]],
  ): Promise<void> => {
    for (const one of holders) {
      for (const member of one.members) await inPlace(lab, one.place, argv(one, member));
    }
  };
  return {
    id,
    kind: 'address-set',
    change,
    where: 'set',
    text: set?.name ?? '',
    why: set?.why ?? '',
    places: holders.map(({ place }) => place),
    apply: (lab) => each(lab, (held, member) => elementArgv('del', held.set, member)),
    restore: (lab) => each(lab, (held, member) => elementArgv('add', held.set, member)),
  };
}

function elementArgv(
  action: 'add' | 'del',
  { name, table }: AddressSet,
  { address, uid }: SetMember,
): readonly [string, ...string[]] {
  const comment = action === 'add' ? ['comment', uid] : [];
  if (table === undefined) return ['ipset', '-exist', action, name, address, ...comment];
  const verb = action === 'add' ? 'add' : 'delete';
  const element = action === 'add' ? `${address} comment "${uid}"` : address;
  return ['nft', verb, 'element', 'inet', table, name, `{ ${element} }`];
}
