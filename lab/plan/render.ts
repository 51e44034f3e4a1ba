import { stringify } from 'yaml';
import type { AppPlan, NetnsPlan, Plan, RoutePlan, VethPlan, VxlanPlan } from './plan.ts';

/** The plan's objects as Kubernetes YAML, the short form written out; `kubectl apply` reads it. */
export function renderObjects(plan: Plan): string {
  return plan.objects.map((object) => stringify(object, { lineWidth: 0 })).join('---\n');
}

/**
 * Every command the plan stands for, as a shell script: what a person would type to build the same
 * lab by hand. The lab itself speaks netlink; what exists afterwards is the same. Names of netns are
 * used as they are, so run it inside `unshare --mount --net` to leave the machine alone.
 */
export function renderCommands(plan: Plan): string {
  return [
    '#!/bin/sh',
    'set -e',
    `# ${plan.lab}: ${plan.nodes.length} nodes, ${plan.pods.length} pods, era ${plan.era}`,
    ...plan.netns.flatMap(createNetns),
    '',
    '# Links',
    ...plan.links.flatMap(createLink),
    ...plan.netns.flatMap(configureNetns),
    '',
    '# Programs',
    ...programs(plan),
    '',
  ].join('\n');
}

function createNetns(netns: NetnsPlan): string[] {
  const entries = Object.entries(netns.sysctls).map(
    ([key, value]) => `${inside(netns)} sysctl -qw ${quote(`${key}=${value}`)}`,
  );
  const optional = Object.entries(netns.sysctlsIfPresent ?? {}).map(
    ([key, value]) => `${inside(netns)} sysctl -eqw ${quote(`${key}=${value}`)}`,
  );
  const bridges = netns.bridges.map(
    ({ name, mac }) =>
      `ip -n ${netns.name} link add ${name}${mac === undefined ? '' : ` address ${mac}`} type bridge`,
  );
  return [
    '',
    `# ${titleOf(netns)}`,
    `ip netns add ${netns.name}`,
    ...entries,
    ...optional,
    `ip -n ${netns.name} link set lo up`,
    ...bridges,
  ];
}

function titleOf({ name, role, node }: NetnsPlan): string {
  const titles = {
    fabric: 'The switch between the nodes',
    outside: 'The client outside the cluster',
    node: `Node ${name}`,
    ztunnel: `ztunnel of ${node}`,
    pod: `Pod ${name} on ${node}`,
  };
  return titles[role];
}

function createLink({ a, b, mtuBytes }: VethPlan): string[] {
  return [
    `ip link add ${a.name} netns ${a.netns} mtu ${mtuBytes} address ${a.mac} type veth ` +
      `peer name ${b.name} netns ${b.netns} mtu ${mtuBytes} address ${b.mac}`,
  ];
}

function configureNetns(netns: NetnsPlan): string[] {
  const ip = `ip -n ${netns.name}`;
  const links = [...new Set(netns.addresses.map(({ link }) => link))];
  return [
    '',
    `# ${titleOf(netns)}: addresses and routes`,
    ...netns.bridges.flatMap(({ name, ports, hairpin }) => [
      ...ports.map((port) => `${ip} link set ${port} master ${name} up`),
      ...(hairpin
        ? ports.map((port) => `${ip} link set ${port} type bridge_slave hairpin on`)
        : []),
      `${ip} link set ${name} up`,
    ]),
    ...(netns.vxlans ?? []).map((vxlan) => createOverlay(ip, vxlan)),
    ...links.map((link) => `${ip} link set ${link} up`),
    ...netns.addresses.map(
      ({ link, address }) =>
        `${ip} addr add ${address} dev ${link}${isIpv6(address) ? ' nodad' : ''}`,
    ),
    ...netns.routes.map((route) => `${ip} route add ${routeText(route)}`),
    ...(netns.vxlans ?? []).flatMap((vxlan) => peersOf(netns, vxlan)),
    ...fileOf(`/etc/netns/${netns.name}/resolv.conf`, netns.resolvConf),
    ...fileOf(`/etc/netns/${netns.name}/hosts`, netns.hosts),
    ...restoreOf(netns, 'iptables-restore', netns.restore),
    ...restoreOf(netns, 'ip6tables-restore', netns.restoreIpv6),
  ];
}

function isIpv6(address: string): boolean {
  return address.includes(':');
}

function createOverlay(
  ip: string,
  { name, mac, mtuBytes, vni, udpPort, local }: VxlanPlan,
): string {
  const how = `type vxlan id ${vni} local ${local} dstport ${udpPort} nolearning`;
  return `${ip} link add ${name} mtu ${mtuBytes} address ${mac} ${how}`;
}

function peersOf(netns: NetnsPlan, { name, peers }: VxlanPlan): string[] {
  return peers.flatMap(({ node, addresses, mac }) => [
    ...addresses.map(
      (address) =>
        `ip -n ${netns.name} neigh replace ${address} lladdr ${mac} dev ${name} nud permanent`,
    ),
    `bridge -n ${netns.name} fdb replace ${mac} dev ${name} dst ${node} self permanent`,
  ]);
}

function routeText({ to, via, link, scope, source, isOnlink }: RoutePlan): string {
  const parts = [to];
  if (via !== undefined) parts.push('via', via);
  parts.push('dev', link);
  if (scope !== undefined) parts.push('scope', scope);
  if (source !== undefined) parts.push('src', source);
  if (isOnlink === true) parts.push('onlink');
  return parts.join(' ');
}

function fileOf(path: string, text: string | undefined): string[] {
  if (text === undefined) return [];
  const directory = path.slice(0, path.lastIndexOf('/'));
  return [`mkdir -p ${directory}`, `cat > ${path} <<'EOF'`, ...text.trimEnd().split('\n'), 'EOF'];
}

function restoreOf(netns: NetnsPlan, program: string, restore: string | undefined): string[] {
  if (!restore) return [];
  return [`${inside(netns)} ${program} <<'EOF'`, ...restore.trimEnd().split('\n'), 'EOF'];
}

/** Built-in programs have no command of their own, so they appear as comments. */
function programs(plan: Plan): string[] {
  const lines = [...plan.pods, plan.outside].flatMap(({ netns, apps }) =>
    apps.map((app) => programText(netns, app)),
  );
  const ztunnels = plan.nodes.map(
    ({ name, ztunnelNetns }) => `# ${ztunnelNetns}: ztunnel of ${name}; ${name}: its node agent`,
  );
  return [...ztunnels, ...lines];
}

function programText(netns: string, app: AppPlan): string {
  if (app.kind !== 'command') return `# ${netns}: built-in ${app.kind} on port ${app.port}`;
  const env = Object.entries(app.env).map(([key, value]) => quote(`${key}=${value}`));
  const words = [...(env.length > 0 ? ['env', ...env] : []), ...app.argv.map(quote)];
  return `ip netns exec ${netns} ${words.join(' ')} &`;
}

function inside({ name }: NetnsPlan): string {
  return `ip netns exec ${name}`;
}

function quote(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
