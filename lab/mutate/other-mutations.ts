import { ipArguments } from '../../dataplane/redirect/routing.ts';
import type { RoutingEntry } from '../../dataplane/redirect/rule.ts';
import type { Plan } from '../plan/plan.ts';
import type { Mutation } from './mutation.ts';
import { inPlace, type PlaceState } from './place-state.ts';

/** Behind the table main (32766), which has a route for everything. */
const BEHIND_MAIN = 32_770;

/** The era's policy rules and routes of the pods, removed, and rules put behind the table main. */
export function routingMutations(
  entries: readonly RoutingEntry[],
  places: readonly string[],
): readonly Mutation[] {
  return entries.flatMap((entry): readonly Mutation[] => {
    const isRule = entry.kind === 'fwmark-rule';
    const text = ipArguments(entry, 'add').slice(3).join(' ');
    const where = isRule ? 'ip rule' : 'ip route';
    const ip = async (lab: Parameters<Mutation['apply']>[0], argv: readonly string[]) => {
      await Promise.all(places.map((place) => inPlace(lab, place, ['ip', ...argv])));
    };
    const removed: Mutation = {
      id: `${where} ${text} | removed`,
      kind: isRule ? 'policy-rule' : 'route',
      change: 'removed',
      where,
      text,
      why: entry.why,
      places,
      apply: (lab) => ip(lab, ipArguments(entry, 'del')),
      restore: (lab) => ip(lab, ipArguments(entry, 'add')),
    };
    if (entry.kind !== 'fwmark-rule') return [removed];
    const late = { ...entry, priority: BEHIND_MAIN };
    const moved: Mutation = {
      ...removed,
      id: `${where} ${text} | behind the main table`,
      change: 'behind the main table',
      apply: async (lab) => {
        await ip(lab, ipArguments(entry, 'del'));
        await ip(lab, ipArguments(late, 'add'));
      },
      restore: async (lab) => {
        await ip(lab, ipArguments(late, 'del'));
        await ip(lab, ipArguments(entry, 'add'));
      },
    };
    return [removed, moved];
  });
}

/** The set of probed pods, emptied on every node. */
export function setMutations(states: readonly PlaceState[]): readonly Mutation[] {
  const names = new Set(
    states.flatMap(({ sets }) => [...sets.matchAll(/^create (\S+)/gm)].map(([, name]) => name)),
  );
  return [...names].flatMap((name = '') => {
    const holders = states.filter(({ sets }) => sets.includes(`create ${name} `));
    return [
      {
        id: `ipset ${name} | emptied`,
        kind: 'address-set' as const,
        change: 'emptied',
        where: 'ipset',
        text: name,
        why: 'Addresses of the enrolled pods of the node: only their probes need the detour.',
        places: holders.map(({ place }) => place),
        apply: async (lab) => {
          for (const { place } of holders) await inPlace(lab, place, ['ipset', 'flush', name]);
        },
        restore: async (lab) => {
          for (const { place, sets } of holders) {
            const members = sets.split('\n').filter((line) => line.startsWith(`add ${name} `));
            await inPlace(lab, place, ['ipset', '-exist', 'restore'], `${members.join('\n')}\n`);
          }
        },
      } satisfies Mutation,
    ];
  });
}

const KEYS: readonly string[] = [
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.all.accept_local',
  'net.ipv4.conf.all.route_localnet',
  'net.ipv4.conf.all.src_valid_mark',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.ip_nonlocal_bind',
  'net.ipv4.tcp_fwmark_accept',
  'net.ipv4.fwmark_reflect',
];

/** Settings that decide what becomes of packets, turned round in all pods, then on all nodes. */
export function sysctlMutations(plan: Plan, pods: readonly string[]): readonly Mutation[] {
  const nodes = plan.nodes.map(({ name }) => name);
  const roles = [
    { role: 'pods', places: pods, netns: plan.netns.find(({ role }) => role === 'pod') },
    { role: 'nodes', places: nodes, netns: plan.netns.find(({ role }) => role === 'node') },
  ];
  return roles.flatMap(({ role, places, netns }) =>
    KEYS.flatMap((key): readonly Mutation[] => {
      const value = netns?.sysctls[key];
      if (value !== '0' && value !== '1') return [];
      const other = value === '0' ? '1' : '0';
      const set = (lab: Parameters<Mutation['apply']>[0], to: string): Promise<unknown> =>
        Promise.all(places.map((place) => inPlace(lab, place, ['sysctl', '-qw', `${key}=${to}`])));
      return [
        {
          id: `sysctl of ${role} ${key} | = ${other}`,
          kind: 'sysctl',
          change: `= ${other}`,
          where: `sysctl of ${role}`,
          text: `${key} = ${value}`,
          places,
          apply: async (lab) => void (await set(lab, other)),
          restore: async (lab) => {
            await set(lab, value);
            // Forwarding resets what stands beside it: everything is written again.
            if (key !== 'net.ipv4.ip_forward') return;
            const all = Object.entries(netns?.sysctls ?? {}).map(([k, v]) => `${k}=${v}`);
            for (const place of places) await inPlace(lab, place, ['sysctl', '-qw', ...all]);
          },
        },
      ];
    }),
  );
}
