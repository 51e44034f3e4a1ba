import { renderCommands } from '../../dataplane/redirect/render.ts';
import type { AddressSet, RuleSet, TunnelLink } from '../../dataplane/redirect/rule.ts';
import { familyOf } from '../../topologies/ip.ts';
import { addressesOf } from '../plan/families.ts';
import type { Plan, PodPlan } from '../plan/plan.ts';
import { wantedRules } from './wanted-rules.ts';

const GENEVE_DEVICE = [
  "# It takes the kernel's geneve device; where there is none, the lab puts the same frames on",
  '# the wire with vxlan, whose header eBPF programs at the link below rewrite, or else nft.',
];

/** One namespace, and the pods of the mesh that its sets hold. */
interface Place {
  readonly netns: string;
  readonly title: string;
  readonly rules: RuleSet | undefined;
  readonly members: readonly PodPlan[];
}

/**
 * What the node agents do once everything runs, as a person would type it: tunnels, settings, sets,
 * rules and policy routing of the plan's era in every namespace that gets any. It goes behind the
 * script that `renderCommands` of the plan makes.
 */
export function redirectCommands(plan: Plan): string {
  const lines = placesOf(plan).flatMap(({ netns, title, rules, members }) =>
    rules === undefined ? [] : ['', `# ${title}`, ...commandsOf(netns, rules, members)],
  );
  const head = `# The redirect of era ${plan.era}, as the node agents apply it`;
  const needs = plan.era === 'geneve' ? GENEVE_DEVICE : [];
  return [head, ...needs, ...lines, ''].join('\n');
}

function placesOf(plan: Plan): readonly Place[] {
  const enrolled = plan.pods.filter((pod) => pod.enrolled);
  const uids = new Set(enrolled.map(({ uid }) => uid));
  const nodes = plan.nodes.flatMap((node): Place[] => {
    const place = { node, enrolled: false };
    const members = enrolled.filter((pod) => pod.node === node.name);
    const { name, ztunnelNetns } = node;
    return [
      {
        netns: name,
        title: `Node ${name}`,
        rules: wantedRules(plan, { ...place, role: 'node' }, uids),
        members,
      },
      {
        netns: ztunnelNetns,
        title: `ztunnel of ${name}`,
        rules: wantedRules(plan, { ...place, role: 'ztunnel' }, uids),
        members: [],
      },
    ];
  });
  const isInPod = plan.era !== 'geneve';
  const pods = (isInPod ? enrolled : []).map((pod): Place => ({
    netns: pod.netns,
    title: `Pod ${pod.netns}`,
    rules: wantedRules(plan, { role: 'pod', enrolled: true, pod }, uids),
    members: [],
  }));
  return [...nodes, ...pods];
}

function commandsOf(netns: string, rules: RuleSet, members: readonly PodPlan[]): readonly string[] {
  const commands = [
    ...(rules.links ?? []).flatMap(linkCommands),
    ...(rules.sysctls ?? []).map(({ key, value }) => `sysctl -qw ${key}=${value}`),
    ...renderCommands(rules),
    ...rules.sets.flatMap((set) => members.flatMap((pod) => memberCommands(set, pod))),
  ];
  return commands.map((command) => `ip netns exec ${netns} ${command}`);
}

function linkCommands({ name, vni, remote, port, address }: TunnelLink): readonly string[] {
  return [
    `ip link add ${name} type geneve id ${vni} remote ${remote} dstport ${port}`,
    `ip addr add ${address} dev ${name}`,
    `ip link set ${name} up`,
  ];
}

function memberCommands({ name, family, table }: AddressSet, pod: PodPlan): readonly string[] {
  const wanted = family === 'ipv4' ? 'IPv4' : 'IPv6';
  return addressesOf(pod)
    .filter((address) => familyOf(address) === wanted)
    .map((address) =>
      table === undefined
        ? `ipset add ${name} ${address} comment ${pod.uid}`
        : `nft 'add element inet ${table} ${name} { ${address} }'`,
    );
}
