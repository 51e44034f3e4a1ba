import { ipArguments } from '../../dataplane/redirect/routing.ts';
import type { RoutingEntry } from '../../dataplane/redirect/rule.ts';
import type { Plan } from '../plan/plan.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { loadTables } from './nft-mutations.ts';
import { inPlace } from '../world/in-place.ts';
import type { MutablePlace, PlaceGroup } from './places.ts';
import { putBackByIp } from './routing-mutations.ts';
import { restoreRules, withoutOurRules } from './rule-mutations.ts';

/** All rules and policy rules of a group gone at once, and each node's ztunnel stopped. */
export function wholeMutations(plan: Plan, groups: readonly PlaceGroup[]): readonly Mutation[] {
  return [
    ...groups.filter(({ places }) => places.some(hasRules)).map(allRules),
    ...plan.nodes.map(({ name }) => ztunnelStopped(name)),
  ];
}

function hasRules({ wanted }: MutablePlace): boolean {
  return (
    (wanted?.families ?? []).some(({ rules }) => rules.length > 0) || wanted?.nft !== undefined
  );
}

function allRules({ prefix, role, places }: PlaceGroup): Mutation {
  const where = prefix === '' ? `all ${role}s` : 'all';
  const text = 'every rule and policy rule of the redirect';
  return {
    id: `${prefix}${where} rules and policy rules | removed`,
    kind: 'whole',
    change: 'removed',
    where,
    text,
    places: places.map(({ place }) => place),
    apply: async (lab) => void (await Promise.all(places.map((place) => removeAll(lab, place)))),
    restore: async (lab) => void (await Promise.all(places.map((place) => putBack(lab, place)))),
  };
}

async function removeAll(lab: Lab, place: MutablePlace): Promise<void> {
  await inPlace(lab, place.place, ['iptables-restore', '-w', '10'], withoutOurRules(place));
  const tables = place.wanted?.nft ?? [];
  await loadTables(
    lab,
    place,
    tables.map((table) => ({ ...table, rules: [] })),
  );
  for (const entry of policyRules(place)) {
    await inPlace(lab, place.place, ['ip', ...ipArguments(entry, 'del')]);
  }
}

async function putBack(lab: Lab, place: MutablePlace): Promise<void> {
  await restoreRules(lab, place);
  await loadTables(lab, place);
  for (const entry of policyRules(place)) {
    await putBackByIp(lab, [place.place], ipArguments(entry, 'add'));
  }
}

function policyRules({ wanted }: MutablePlace): readonly RoutingEntry[] {
  return (wanted?.routing ?? []).filter(({ kind }) => kind.endsWith('-rule'));
}

function ztunnelStopped(node: string): Mutation {
  return {
    id: `${node} ztunnel | stopped`,
    kind: 'whole',
    change: 'stopped',
    where: 'program',
    text: `ztunnel of ${node}`,
    why: 'Captured connections end at its listeners.',
    places: [node],
    apply: (lab) => lab.kill('ztunnel', node),
    restore: (lab) => lab.restart('ztunnel', node),
  };
}
