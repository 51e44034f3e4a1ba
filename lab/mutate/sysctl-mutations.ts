import type { SysctlEntry } from '../../dataplane/redirect/rule.ts';
import type { Plan } from '../plan/plan.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { inPlace } from '../world/in-place.ts';
import type { PlaceGroup } from './places.ts';

const KEYS: readonly string[] = [
  'net/ipv4/ip_forward',
  'net/ipv4/conf/all/rp_filter',
  'net/ipv4/conf/all/accept_local',
  'net/ipv4/conf/all/route_localnet',
  'net/ipv4/conf/all/src_valid_mark',
  'net/ipv4/conf/all/arp_ignore',
  'net/ipv4/ip_nonlocal_bind',
  'net/ipv4/tcp_fwmark_accept',
  'net/ipv4/fwmark_reflect',
];

interface Setting {
  /** With slashes: names of links have dots. */
  readonly key: string;
  readonly value: '0' | '1';
  readonly why?: string;
}

/** Settings of the era, and others that decide what becomes of packets, turned round. */
export function sysctlMutations(plan: Plan, group: PlaceGroup): readonly Mutation[] {
  const ofRole = plan.netns.find(({ role }) => role === group.role)?.sysctls ?? {};
  const settings = new Map<string, Setting>();
  for (const key of KEYS) {
    const value = ofRole[key.replaceAll('/', '.')];
    if (value === '0' || value === '1') settings.set(key, { key, value });
  }
  const wanted = group.places[0]?.wanted?.sysctls ?? [];
  for (const entry of wanted) if (isSwitch(entry)) settings.set(entry.key, entry);
  return [...settings.values()].map((setting) => mutationOf(plan, group, setting));
}

function isSwitch(entry: SysctlEntry): entry is SysctlEntry & Setting {
  return entry.value === '0' || entry.value === '1';
}

function mutationOf(
  plan: Plan,
  { prefix, role, places }: PlaceGroup,
  { key, value, why }: Setting,
): Mutation {
  const other = value === '0' ? '1' : '0';
  const names = places.map(({ place }) => place);
  const where = prefix === '' ? `sysctl of ${role}s` : 'sysctl';
  const set = async (lab: Lab, entries: readonly string[]): Promise<void> => {
    await Promise.all(names.map((place) => inPlace(lab, place, ['sysctl', '-qw', ...entries])));
  };
  return {
    id: `${prefix}${where} ${key} | = ${other}`,
    kind: 'sysctl',
    change: `= ${other}`,
    where,
    text: `${key} = ${value}`,
    ...(why === undefined ? {} : { why }),
    places: names,
    apply: (lab) => set(lab, [`${key}=${other}`]),
    restore: async (lab) => {
      await set(lab, [`${key}=${value}`]);
      // Forwarding resets what stands beside it: everything is written again.
      if (key === 'net/ipv4/ip_forward') await set(lab, settingsOf(plan, { role, places }));
    },
  };
}

/** What plan and era say of a place, in this order: the later counts. */
function settingsOf(
  plan: Plan,
  { role, places }: Pick<PlaceGroup, 'role' | 'places'>,
): readonly string[] {
  const planned = plan.netns.find((netns) => netns.role === role)?.sysctls ?? {};
  return [
    ...Object.entries(planned)
      // Those of IPv6 would wake addresses of links that have none.
      .filter(([key]) => key.startsWith('net.ipv4.'))
      .map(([key, value]) => `${key}=${value}`),
    ...(places[0]?.wanted?.sysctls ?? []).map(({ key, value }) => `${key}=${value}`),
  ];
}
