import { inPlace } from '../world/in-place.ts';
import { hasIpv6 } from '../plan/families.ts';
import type { Plan } from '../plan/plan.ts';
import type { Lab } from '../world/lab.ts';
import { enrolledPod } from './in-pod.ts';
import type { PodFault } from './fault.ts';

const OFF = 'net.ipv6.conf.all.disable_ipv6';
/** `all` first: it overwrites the others. */
const KEYS = [
  OFF,
  'net.ipv6.conf.default.disable_ipv6',
  'net.ipv6.conf.lo.disable_ipv6',
  'net.ipv6.conf.eth0.disable_ipv6',
];

interface SavedIpv6 {
  readonly settings: readonly string[];
  /** Addresses with their links, in the order the kernel has them. */
  readonly addresses: readonly { readonly address: string; readonly link: string }[];
  /** Arguments of `ip -6 route add`. */
  readonly routes: readonly string[];
}

/** IPv6 is switched off in one pod of a cluster that has it. */
export const ipv6Off: PodFault = {
  name: 'ipv6-off',
  kind: 'pod',
  title: 'IPv6 is switched off in one pod of a cluster that has it',
  seen:
    'Requests of the pod by IPv6 fail at once (curl: exit 7), requests to it time out; IPv4 works. ' +
    'Enrolled anew, its DNS proxy would lack ::1, and rules of IPv6 fail.',
  field: 'An image or a node that sets disable_ipv6: istio/istio#52858, #53087, #55794.',
  refusal,
  suits: enrolledPod,
  async prepare({ lab, at: { pod } }) {
    return { ...(await readIpv6(lab, pod.netns)) };
  },
  async apply({ lab, at: { pod } }) {
    await inPlace(lab, pod.netns, ['sysctl', '-qw', `${OFF}=1`]);
  },
  async mend({ lab, at: { pod } }, saved) {
    const { settings, addresses, routes } = saved as unknown as SavedIpv6;
    await inPlace(lab, pod.netns, ['sysctl', '-qw', ...settings]);
    const now = await readIpv6(lab, pod.netns);
    for (const { address, link } of addresses) {
      if (now.addresses.some((one) => one.address === address)) continue;
      await inPlace(lab, pod.netns, ['ip', '-6', 'addr', 'add', address, 'dev', link, 'nodad']);
    }
    for (const route of routes) {
      if (now.routes.includes(route)) continue;
      await inPlace(lab, pod.netns, ['ip', '-6', 'route', 'replace', ...route.split(' ')]);
    }
  },
};

function refusal(plan: Plan): string | undefined {
  if (plan.era === 'geneve') return 'it redirects IPv4 alone';
  return hasIpv6(plan) ? undefined : 'the lab has no IPv6 that could be missed (`ipFamilies`)';
}

async function readIpv6(lab: Lab, netns: string): Promise<SavedIpv6> {
  const [settings, addresses, routes] = await Promise.all([
    inPlace(lab, netns, ['sysctl', '-e', ...KEYS]),
    inPlace(lab, netns, ['ip', '-6', '-j', 'addr', 'show', 'scope', 'global']),
    inPlace(lab, netns, ['ip', '-6', 'route', 'show', 'table', 'all']),
  ]);
  const links = JSON.parse(addresses) as readonly ListedLink[];
  return {
    settings: linesOf(settings).map((line) => line.replace(' = ', '=')),
    addresses: links.flatMap(({ ifname: link, addr_info: all = [] }) =>
      // Addresses that the scope leaves out are listed as empty objects.
      all.flatMap(({ local, prefixlen }) =>
        local === undefined ? [] : [{ address: `${local}/${prefixlen}`, link }],
      ),
    ),
    // Those of the kernel come back with the addresses.
    routes: linesOf(routes)
      .filter((line) => !/proto kernel|table local/.test(line))
      .map((line) => line.replace(/ pref medium/, '').trim()),
  };
}

interface ListedLink {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}
