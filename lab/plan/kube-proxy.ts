import { chainName } from './hash.ts';
import type { NodePlan, ServicePlan, ServicePortPlan } from './plan.ts';

/** Bit kube-proxy marks packets with that POSTROUTING must masquerade (`--masquerade-bit` 14). */
const MASQUERADE_MARK = '0x4000';

interface ServedPort {
  readonly port: ServicePortPlan;
  /** `namespace/name:port`, as kube-proxy writes it into comments. */
  readonly label: string;
  readonly service: string;
  readonly protocol: 'tcp' | 'udp';
  readonly vip: string;
  readonly targets: readonly string[];
  readonly chain: string;
  readonly externalChain: string;
}

/**
 * `iptables-restore` input of one node in kube-proxy's own chain structure (Kubernetes 1.30
 * `pkg/proxy/iptables/proxier.go`): a chain a service port, one an endpoint, a random choice
 * between them, masquerading for hairpins and for what comes from outside the pods. Behind it the
 * masquerading of pods that leave the cluster, which the primary CNI does in a real one.
 */
export function renderKubeProxy(
  services: readonly ServicePlan[],
  node: Pick<NodePlan, 'podRange'>,
  nodes: readonly Pick<NodePlan, 'podRange'>[],
): string {
  const ports = services.flatMap(servedPorts);
  return [...filterTable(ports), ...natTable(ports, node, nodes), ''].join('\n');
}

function servedPorts(service: ServicePlan): ServedPort[] {
  const { vip, endpoints } = service;
  if (vip === undefined) return [];
  return service.ports.map((port) => {
    const protocol = port.protocol === 'UDP' ? 'udp' : 'tcp';
    const name = `${service.namespace}/${service.name}`;
    const label = port.name === '' ? name : `${name}:${port.name}`;
    const targets = endpoints.flatMap(({ address, ports }) =>
      ports[port.port] === undefined ? [] : [`${address}:${ports[port.port]}`],
    );
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

function filterTable(ports: readonly ServedPort[]): string[] {
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
    const reject = '-j REJECT --reject-with icmp-port-unreachable';
    const to = `-m ${protocol} --dport`;
    rules.push(
      `-A KUBE-SERVICES -d ${vip}/32 -p ${protocol} ${comment} ${to} ${port.port} ${reject}`,
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

function natTable(
  ports: readonly ServedPort[],
  node: Pick<NodePlan, 'podRange'>,
  nodes: readonly Pick<NodePlan, 'podRange'>[],
): string[] {
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
    const from = `! -s ${node.podRange} -d ${one.vip}/32 -p ${one.protocol}`;
    const comment = `-m comment --comment "${one.label} cluster IP"`;
    rules.push(
      `-A KUBE-SERVICES -d ${one.vip}/32 -p ${one.protocol} ${comment} ${to} -j ${one.chain}`,
    );
    chains.push(one.chain);
    // Only this node's pods are known by address here (`--detect-local-mode=NodeCIDR`).
    rules.push(`-A ${one.chain} ${from} ${to} -j KUBE-MARK-MASQ`);
    rules.push(...balance(one, chains));
    if (one.port.nodePort === undefined) continue;
    chains.push(one.externalChain);
    rules.push(...nodePort(one));
  }
  rules.push(
    '-A KUBE-SERVICES ! -d 127.0.0.0/8 -m comment --comment "kubernetes service nodeports; ' +
      'NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL ' +
      '-j KUBE-NODEPORTS',
    ...leavingPods(node, nodes),
  );
  chains.push('CNI-MASQ');
  return table('nat', ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'], chains, rules);
}

/** Choice among the endpoints of one service port; adds their chains to `chains`. */
function balance({ chain, label, protocol, targets }: ServedPort, chains: string[]): string[] {
  const choices: string[] = [];
  const endings: string[] = [];
  for (const [index, target] of targets.entries()) {
    const end = chainName('KUBE-SEP-', label, protocol, target);
    const left = targets.length - index;
    const odds = `-m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
    const comment = `-m comment --comment "${label} -> ${target}"`;
    choices.push(`-A ${chain} ${comment} ${left > 1 ? `${odds} ` : ''}-j ${end}`);
    chains.push(end);
    const named = `-m comment --comment "${label}"`;
    endings.push(
      `-A ${end} -s ${target.split(':')[0]}/32 ${named} -j KUBE-MARK-MASQ`,
      `-A ${end} -p ${protocol} ${named} -m ${protocol} -j DNAT --to-destination ${target}`,
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
function leavingPods(
  node: Pick<NodePlan, 'podRange'>,
  nodes: readonly Pick<NodePlan, 'podRange'>[],
): string[] {
  const comment = '-m comment --comment "pods that leave the cluster"';
  return [
    `-A POSTROUTING -s ${node.podRange} ${comment} -j CNI-MASQ`,
    ...nodes.map(({ podRange }) => `-A CNI-MASQ -d ${podRange} -j RETURN`),
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
