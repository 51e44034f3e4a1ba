import { runProgram } from '../hosts/run.ts';
import { inPlace } from '../mutate/place-state.ts';
import type { Lab } from '../world/lab.ts';

export const SECTIONS = ['rules', 'policy rules', 'routes', 'links', 'sockets', 'sysctls'] as const;

export type Section = (typeof SECTIONS)[number];

/** What the kernel has in one place, a line a thing, without counters, indices and times. */
export type KernelReading = Readonly<Record<Section, readonly string[]>>;

/** Settings that decide what becomes of packets; `sysctl -a` would read thousands of others. */
const SYSCTLS =
  'cd /proc/sys/net/ipv4 && grep -H . ip_forward ip_nonlocal_bind tcp_fwmark_accept ' +
  'fwmark_reflect conf/*/rp_filter conf/*/accept_local conf/*/route_localnet ' +
  'conf/*/src_valid_mark conf/*/forwarding';

/** Reads a pod, a node or a ztunnel of a running lab. @throws LabError LAB_PROGRAM_FAILED */
export async function readKernel(lab: Lab, place: string): Promise<KernelReading> {
  const [iptables, nft, rules, routes, links, sockets, sysctls] = await Promise.all([
    inPlace(lab, place, ['iptables-save']),
    readNft(lab, place),
    inPlace(lab, place, ['ip', 'rule', 'show']),
    inPlace(lab, place, ['ip', 'route', 'show', 'table', 'all']),
    inPlace(lab, place, ['ip', '-j', '-d', 'address', 'show']),
    inPlace(lab, place, ['ss', '-Htunlp']),
    inPlace(lab, place, ['sh', '-c', SYSCTLS]),
  ]);
  return {
    rules: [...rulesOf(iptables), ...nft],
    'policy rules': linesOf(rules),
    routes: linesOf(routes).filter((line) => !/table local|^broadcast|fe80|ff00/.test(line)),
    links: linksOf(links),
    sockets: socketsOf(sockets),
    sysctls: linesOf(sysctls).map(sysctlOf).filter(isOfWorld).sort(),
  };
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '');
}

/** Rules with their table in front, in order. */
function rulesOf(text: string): string[] {
  let table = '';
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('*')) table = line.slice(1);
    if (line.startsWith(':')) {
      const [chain = '', policy] = line.slice(1).split(' ');
      return policy === 'ACCEPT' || policy === '-' ? [] : [`${table} ${chain} policy ${policy}`];
    }
    return line.startsWith('-A ') ? [`${table} ${line.slice(3)}`] : [];
  });
}

/** Tables that iptables does not show: inet, netdev and others that somebody made with nft. */
async function readNft(lab: Lab, place: string): Promise<string[]> {
  const [file = '', ...args] = lab.execArgv(place, ['nft', '-s', 'list', 'ruleset']);
  const done = await runProgram([file, ...args], { timeoutMs: 10_000 });
  if (done.exitCode !== 0) return [];
  const tables = done.stdout.split(/^(?=table )/m).filter((t) => !/^table ip6? /.test(t));
  return tables.flatMap((text) => {
    const [, name = ''] = /^table (\S+ \S+)/.exec(text) ?? [];
    let chain = '';
    return linesOf(text).flatMap((line) => {
      const opened = /^(?:chain|set) (\S+) \{/.exec(line)?.[1];
      if (opened !== undefined) chain = opened;
      const isRule = opened === undefined && line !== '}' && !line.startsWith('table ');
      return isRule ? [`nft ${name} ${chain} ${line}`] : [];
    });
  });
}

function sysctlOf(line: string): string {
  const [path = '', value = ''] = line.split(':');
  return `net.ipv4.${path.replaceAll('/', '.')} = ${value}`;
}

/** Links that the kernel makes in every namespace. */
function isOfWorld(line: string): boolean {
  return !/(?:^|\.)(?:tunl|sit|gre|gretap|erspan|ip6tnl|ip6gre)0[ .]/.test(line);
}

interface LinkJson {
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
  };
  readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number }[];
}

const TUNNEL_KEYS = ['id', 'remote', 'local', 'port'] as const;

function linksOf(text: string): string[] {
  const links = JSON.parse(text) as readonly LinkJson[];
  return links
    .map(({ ifname, mtu, flags, linkinfo, addr_info }) => {
      const data = linkinfo?.info_data ?? {};
      const isTunnel = ['geneve', 'vxlan'].includes(linkinfo?.info_kind ?? '');
      const tunnel = TUNNEL_KEYS.filter((key) => isTunnel && data[key] !== undefined).map(
        (key) => `${key} ${String(data[key])}`,
      );
      const addresses = (addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`);
      const state = flags.includes('UP') ? 'up' : 'down';
      const kind = linkinfo?.info_kind ?? 'device';
      return [ifname, kind, state, `mtu ${mtu}`, ...tunnel, ...addresses].join(' ');
    })
    .filter(isOfWorld)
    .sort();
}

/** Listening sockets with the program behind them. */
function socketsOf(text: string): string[] {
  const sockets = linesOf(text).map((line) => {
    const [protocol = '', , , , local = ''] = line.split(' ');
    const program = /users:\(\("([^"]+)"/.exec(line)?.[1];
    return `${protocol} ${local}${program === undefined ? '' : ` ${program}`}`;
  });
  return [...new Set(sockets)].sort();
}
