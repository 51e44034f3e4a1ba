import { GUEST_ANNOTATION } from '../../topologies/expand.ts';
import type { IpFamily } from '../../topologies/ip.ts';
import { PlanError } from './errors.ts';
import { addressOf, addressesOf, asHost, type Addressed } from './families.ts';
import type { AddressPlan, PodPlan, RoutePlan } from './plan.ts';

/**
 * A machine inside a pod, behind an interface of the pod's own and masqueraded by it: a virtual
 * machine of KubeVirt, a container of Docker in a pod. Nobody outside the pod knows its address.
 */
export interface GuestPlan extends Addressed {
  /** That of its pod with `-guest` behind it. */
  readonly name: string;
  readonly namespace: string;
  readonly netns: string;
  readonly node: string;
  /** uid of its pod, and the pod's netns. */
  readonly pod: string;
  readonly podNetns: string;
  /** The pod's end of its link. */
  readonly link: string;
}

/** As KubeVirt's masquerade binding has them, the same in every pod: 10.0.2.0/24, fd10:0:2::/120. */
const RANGES = {
  IPv4: { guest: '10.0.2.2', gateway: '10.0.2.1', prefix: 24 },
  IPv6: { guest: 'fd10:0:2::2', gateway: 'fd10:0:2::1', prefix: 120 },
} as const satisfies Record<IpFamily, object>;

const UPLINK = 'eth0';

/**
 * The guests that annotations of pods ask for.
 * @throws {PlanError} LAB_PLAN_CONFLICT when a pod is called like the guest of another
 */
export function planGuests(
  pods: readonly PodPlan[],
  ipFamilies: readonly IpFamily[],
): readonly GuestPlan[] {
  const [address, secondAddress] = ipFamilies.map((family) => RANGES[family].guest);
  return pods.flatMap((pod): readonly GuestPlan[] => {
    const link = pod.annotations[GUEST_ANNOTATION];
    if (link === undefined) return [];
    const name = `${pod.name}-guest`;
    const netns = `${name}.${pod.namespace}`;
    if (pods.some((other) => other.netns === netns)) {
      const message = `Cannot name the guest of pod "${pod.name}": a pod is called "${name}"`;
      throw new PlanError('LAB_PLAN_CONFLICT', name, message);
    }
    const { namespace, node, uid, netns: podNetns } = pod;
    return [
      {
        ...{ name, namespace, netns, node, pod: uid, podNetns, link },
        address: address!,
        ...(secondAddress === undefined ? {} : { secondAddress }),
      },
    ];
  });
}

/** Addresses and routes in the guest's own netns. */
export function guestSide(ipFamilies: readonly IpFamily[]): {
  readonly addresses: readonly AddressPlan[];
  readonly routes: readonly RoutePlan[];
} {
  const ranges = ipFamilies.map((family) => RANGES[family]);
  return {
    addresses: ranges.map(({ guest, prefix }) => {
      return { link: UPLINK, address: `${guest}/${prefix}` };
    }),
    routes: ranges.map(({ gateway }) => ({ to: 'default', via: gateway, link: UPLINK })),
  };
}

/** Addresses that its pod has towards the guest. */
export function towardsGuest(
  { link }: GuestPlan,
  ipFamilies: readonly IpFamily[],
): readonly AddressPlan[] {
  return ipFamilies.map((family) => {
    const { gateway, prefix } = RANGES[family];
    return { link, address: `${gateway}/${prefix}` };
  });
}

/** Input of `iptables-restore` or `ip6tables-restore` for its pod: the guest leaves as the pod. */
export function masqueradeGuest(guest: GuestPlan, family: IpFamily): string | undefined {
  const address = addressOf(guest, family);
  if (address === undefined) return undefined;
  return [
    '*nat',
    ...['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'].map((name) => `:${name} ACCEPT [0:0]`),
    `-A POSTROUTING -s ${asHost(address)} ! -o ${guest.link} -j MASQUERADE`,
    'COMMIT',
    '',
  ].join('\n');
}

/** What all guests of a lab are called by their addresses: there may be several of one address. */
export function guestNames(guests: readonly GuestPlan[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const guest of guests) {
    for (const ip of addressesOf(guest)) names.set(ip, names.has(ip) ? 'guest' : guest.name);
  }
  return names;
}
