import { ipArguments } from '../../dataplane/redirect/routing.ts';
import type { RoutingEntry } from '../../dataplane/redirect/rule.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { inPlace } from '../world/in-place.ts';
import type { PlaceGroup } from './places.ts';

/** Behind the table main (32766), which has a route for everything. */
const BEHIND_MAIN = 32_770;

/** The era's policy rules and routes, removed, and rules put behind the table main. */
export function routingMutations({ prefix, places }: PlaceGroup): readonly Mutation[] {
  const [first] = places;
  const entries = first?.wanted?.routing ?? [];
  const names = places.map(({ place }) => place);
  return entries.flatMap((entry) => mutationsOf(prefix, entry, names));
}

/** Runs `ip` in all these places; what is there already, or gone, is no fault when putting back. */
export async function putBackByIp(
  lab: Lab,
  places: readonly string[],
  argv: readonly string[],
): Promise<void> {
  await Promise.all(
    places.map((place) => inPlace(lab, place, ['ip', ...argv]).catch(() => undefined)),
  );
}

/** Runs `ip` in all these places. */
async function runIp(lab: Lab, places: readonly string[], argv: readonly string[]): Promise<void> {
  await Promise.all(places.map((place) => inPlace(lab, place, ['ip', ...argv])));
}

function mutationsOf(
  prefix: string,
  entry: RoutingEntry,
  places: readonly string[],
): readonly Mutation[] {
  const isRoute = entry.kind === 'route' || entry.kind === 'local-route';
  const text = ipArguments(entry, 'add').slice(3).join(' ');
  const where = isRoute ? 'ip route' : 'ip rule';
  const base = `${prefix}${where} ${text}`;
  const removed: Mutation = {
    id: `${base} | removed`,
    kind: isRoute ? 'route' : 'policy-rule',
    change: 'removed',
    where,
    text,
    why: entry.why,
    places,
    apply: (lab) => runIp(lab, places, ipArguments(entry, 'del')),
    restore: (lab) => putBackByIp(lab, places, ipArguments(entry, 'add')),
  };
  // A rule that goes on at the table main has nothing to do behind it.
  if (entry.kind !== 'fwmark-rule' && entry.kind !== 'table-rule') return [removed];
  const late = { ...entry, priority: BEHIND_MAIN };
  const moved: Mutation = {
    ...removed,
    id: `${base} | behind the main table`,
    change: 'behind the main table',
    apply: async (lab) => {
      await runIp(lab, places, ipArguments(entry, 'del'));
      await runIp(lab, places, ipArguments(late, 'add'));
    },
    restore: async (lab) => {
      await putBackByIp(lab, places, ipArguments(late, 'del'));
      await putBackByIp(lab, places, ipArguments(entry, 'add'));
    },
  };
  return [removed, moved];
}
