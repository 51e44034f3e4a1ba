import { bracketed, familyOf, type IpFamily } from '../../topologies/ip.ts';
import { addressOf, asHost, nodeIn, vipsOf } from './families.ts';
import { chainName } from './hash.ts';
import type { NodePlan, ServicePlan, ServicePortPlan } from './plan.ts';

/** Bit kube-proxy marks packets with that POSTROUTING must masquerade (`--masquerade-bit` 14). */
const MASQUERADE_MARK = '0x4000';

interface Target {
  readonly address: string;
  readonly text: string;
}

interface ServedPort {
  readonly port: ServicePortPlan;
  /** `namespace/name:port`, as kube-proxy writes it into comments. */
  readonly label: string;
  readonly service: string;
  readonly protocol: 'tcp' | 'udp';
  readonly vip: string;
  /** `address:port`, IPv6 in brackets. */
  readonly targets: readonly Target[];
  readonly chain: string;
  readonly externalChain: string;
}

/**
 * `iptables-restore` or `ip6tables-restore` input of one node in kube-proxy's own chain structure (Kubernetes 1.30
 * `pkg/proxy/iptables/proxier.go`): a chain a service port, one an endpoint, a random choice
 * between them, masquerading for hairpins and for what comes from outside the pods. Behind it the
 * masquerading of pods that leave the cluster, which the primary CNI does in a real one.
 */
export function renderKubeProxy(
  family: IpFamily,
  services: readonly ServicePlan[],
  node: NodePlan,
  nodes: readonly NodePlan[],
): string {
  const ports = services.flatMap((service) => servedPorts(service, family));
  const ranges: PodRanges = {
    family,
    own: nodeIn(node, family)!.podRange,
    all: nodes.map((one) => nodeIn(one, family)!.podRange),
  };
  return [...filterTable(ports, family), ...natTable(ports, ranges), ''].join('\n');
}

/** Where pods are: on this node, and on each. */
interface PodRanges {
  readonly family: IpFamily;
  readonly own: string;
  readonly all: readonly string[];
}

/** What the rules of the families spell differently. */
const WORDS = {
  IPv4: { loopback: '127.0.0.0/8', unreachable: 'icmp-port-unreachable' },
  IPv6: { loopback: '::1/128', unreachable: 'icmp6-port-unreachable' },
} as const;

function servedPorts(service: ServicePlan, family: IpFamily): ServedPort[] {
  const { endpoints } = service;
  const vip = vipsOf(service).find((one) => familyOf(one) === family);
  if (vip === undefined) return [];
  return service.ports.map((port) => {
    const protocol = port.protocol === 'UDP' ? 'udp' : 'tcp';
    const name = `${service.namespace}/${service.name}`;
    const label = port.name === '' ? name : `${name}:${port.name}`;
    const targets = endpoints.flatMap((endpoint): Target[] => {
      const target = endpoint.ports[port.port];
      const address = addressOf(endpoint, family);
      if (target === undefined || address === undefined) return [];
      return [{ address, text: `${bracketed(address)}:${target}` }];
    });
    return {
      port,
      label,
      service: name,
      protocol,
      vip,
      targets,
      chain: chainName('KUBE-SVC-', label, protocol),
      externalChain: chainName('KUBE-EXT-', label, protocol),
    };
  });
}

function filterTable(ports: readonly ServedPort[], family: IpFamily): string[] {
  const isNew = '-m conntrack --ctstate NEW';
  const portals = '-m comment --comment "kubernetes service portals"';
  const visible = '-m comment --comment "kubernetes externally-visible service portals"';
  const rules = [
    `-A INPUT ${isNew} ${visible} -j KUBE-EXTERNAL-SERVICES`,
    `-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD`,
    `-A FORWARD ${isNew} ${portals} -j KUBE-SERVICES`,
    `-A FORWARD ${isNew} ${visible} -j KUBE-EXTERNAL-SERVICES`,
    `-A OUTPUT ${isNew} ${portals} -j KUBE-SERVICES`,
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
  ];
  for (const { port, label, protocol, vip, targets } of ports) {
    if (targets.length > 0) continue;
    const comment = `-m comment --comment "${label} has no endpoints"`;
    const reject = `-j REJECT --reject-with ${WORDS[family].unreachable}`;
    const to = `-m ${protocol} --dport`;
    rules.push(
      `-A KUBE-SERVICES -d ${asHost(vip)} -p ${protocol} ${comment} ${to} ${port.port} ${reject}`,
    );
    if (port.nodePort === undefined) continue;
    const local = '-m addrtype --dst-type LOCAL';
    rules.push(
      `-A KUBE-EXTERNAL-SERVICES -p ${protocol} ${comment} ${local} ${to} ${port.nodePort} ${reject}`,
    );
  }
  const chains = ['KUBE-EXTERNAL-SERVICES', 'KUBE-FORWARD', 'KUBE-SERVICES'];
  return table('filter', ['INPUT', 'FORWARD', 'OUTPUT'], chains, rules);
}

function natTable(ports: readonly ServedPort[], ranges: PodRanges): string[] {
  const portals = '-m comment --comment "kubernetes service portals"';
  const postrouting = '-m comment --comment "kubernetes postrouting rules"';
  const served = ports.filter(({ targets }) => targets.length > 0);
  const chains = ['KUBE-MARK-MASQ', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-SERVICES'];
  const rules = [
    `-A PREROUTING ${portals} -j KUBE-SERVICES`,
    `-A OUTPUT ${portals} -j KUBE-SERVICES`,
    `-A POSTROUTING ${postrouting} -j KUBE-POSTROUTING`,
    `-A KUBE-MARK-MASQ -j MARK --set-xmark ${MASQUERADE_MARK}/${MASQUERADE_MARK}`,
    `-A KUBE-POSTROUTING -m mark ! --mark ${MASQUERADE_MARK}/${MASQUERADE_MARK} -j RETURN`,
    `-A KUBE-POSTROUTING -j MARK --set-xmark ${MASQUERADE_MARK}/0x0`,
    '-A KUBE-POSTROUTING -m comment --comment ' +
      '"kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
  ];
  for (const one of served) {
    const to = `-m ${one.protocol} --dport ${one.port.port}`;
    const destination = `-d ${asHost(one.vip)} -p ${one.protocol}`;
    const from = `! -s ${ranges.own} ${destination}`;
    const comment = `-m comment --comment "${one.label} cluster IP"`;
    rules.push(`-A KUBE-SERVICES ${destination} ${comment} ${to} -j ${one.chain}`);
    chains.push(one.chain);
    // Only this node's pods are known by address here (`--detect-local-mode=NodeCIDR`).
    rules.push(`-A ${one.chain} ${from} ${to} -j KUBE-MARK-MASQ`);
    rules.push(...balance(one, chains));
    if (one.port.nodePort === undefined) continue;
    chains.push(one.externalChain);
    rules.push(...nodePort(one));
  }
  rules.push(
    `-A KUBE-SERVICES ! -d ${WORDS[ranges.family].loopback} -m comment --comment ` +
      '"kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL ' +
      '-j KUBE-NODEPORTS',
    ...leavingPods(ranges),
  );
  chains.push('CNI-MASQ');
  return table('nat', ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'], chains, rules);
}

/** Choice among the endpoints of one service port; adds their chains to `chains`. */
function balance({ chain, label, protocol, targets }: ServedPort, chains: string[]): string[] {
  const choices: string[] = [];
  const endings: string[] = [];
  for (const [index, target] of targets.entries()) {
    const end = chainName('KUBE-SEP-', label, protocol, target.text);
    const left = targets.length - index;
    const odds = `-m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
    const comment = `-m comment --comment "${label} -> ${target.text}"`;
    choices.push(`-A ${chain} ${comment} ${left > 1 ? `${odds} ` : ''}-j ${end}`);
    chains.push(end);
    const named = `-m comment --comment "${label}"`;
    endings.push(
      `-A ${end} -s ${asHost(target.address)} ${named} -j KUBE-MARK-MASQ`,
      `-A ${end} -p ${protocol} ${named} -m ${protocol} -j DNAT --to-destination ${target.text}`,
    );
  }
  return [...choices, ...endings];
}

function nodePort({ port, label, service, protocol, chain, externalChain }: ServedPort): string[] {
  const masquerade = `"masquerade traffic for ${service} external destinations"`;
  return [
    `-A KUBE-NODEPORTS -p ${protocol} -m comment --comment "${label}" ` +
      `-m ${protocol} --dport ${port.nodePort} -j ${externalChain}`,
    `-A ${externalChain} -m comment --comment ${masquerade} -j KUBE-MARK-MASQ`,
    `-A ${externalChain} -j ${chain}`,
  ];
}

/** Pods leave under their node's address, as `ipMasq` of the CNI's ptp plugin has it. */
function leavingPods({ own, all }: PodRanges): string[] {
  const comment = '-m comment --comment "pods that leave the cluster"';
  return [
    `-A POSTROUTING -s ${own} ${comment} -j CNI-MASQ`,
    ...all.map((podRange) => `-A CNI-MASQ -d ${podRange} -j RETURN`),
    '-A CNI-MASQ -j MASQUERADE --random-fully',
  ];
}

function table(
  name: string,
  builtIn: readonly string[],
  chains: readonly string[],
  rules: readonly string[],
): string[] {
  return [
    `*${name}`,
    ...builtIn.map((chain) => `:${chain} ACCEPT [0:0]`),
    ...chains.map((chain) => `:${chain} - [0:0]`),
    ...rules,
    'COMMIT',
  ];
}
