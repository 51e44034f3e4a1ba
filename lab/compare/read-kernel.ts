import { rewriteTable } from '../../dataplane/tunnels/header-rewrite.ts';
import { inPlace, tryInPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';
import { tunnelsInPlace } from '../world/tunnels-in-place.ts';

export const SECTIONS = [
  'rules',
  'sets',
  'policy rules',
  'routes',
  'links',
  'sockets',
  'sysctls',
] as const;

export type Section = (typeof SECTIONS)[number];

/** What the kernel has in one place, a line a thing, without counters, indices and times. */
export type KernelReading = Readonly<Record<Section, readonly string[]>>;

/** Settings that decide what becomes of packets; `sysctl -a` would read thousands of others. */
const SYSCTLS =
  'cd /proc/sys/net/ipv4 && grep -H . ip_forward ip_nonlocal_bind tcp_fwmark_accept ' +
  'fwmark_reflect conf/*/rp_filter conf/*/accept_local conf/*/route_localnet ' +
  'conf/*/src_valid_mark conf/*/forwarding';

/** Listening sockets, then the command line of each program behind them. */
const SOCKETS =
  'found=$(ss -Htunlp); echo "$found"; echo ===; ' +
  'for pid in $(echo "$found" | grep -o \'pid=[0-9]*\' | cut -d= -f2 | sort -u); do ' +
  "echo \"$pid $(tr '\\0' ' ' < /proc/$pid/cmdline)\"; done";

/** Reads a pod, a node or a ztunnel of a running lab. @throws LabError LAB_PROGRAM_FAILED */
export async function readKernel(lab: Lab, place: string): Promise<KernelReading> {
  const [iptables, nft, ipsets, rules, routes, links, sockets, sysctls] = await Promise.all([
    inPlace(lab, place, ['iptables-save']),
    readNft(lab, place),
    inPlace(lab, place, ['ipset', 'save']),
    inPlace(lab, place, ['ip', 'rule', 'show']),
    inPlace(lab, place, ['ip', 'route', 'show', 'table', 'all']),
    inPlace(lab, place, ['ip', '-j', '-d', 'address', 'show']),
    inPlace(lab, place, ['sh', '-c', SOCKETS]),
    inPlace(lab, place, ['sh', '-c', SYSCTLS]),
  ]);
  return {
    rules: [...rulesOf(iptables), ...nft.rules],
    sets: [...membersOf(ipsets), ...nft.sets].sort(),
    'policy rules': linesOf(rules),
    routes: linesOf(routes).filter((line) => !/table local|^broadcast|fe80|ff00/.test(line)),
    links: linksOf(links, standIns(lab, place)),
    sockets: socketsOf(sockets),
    sysctls: linesOf(sysctls).map(sysctlOf).filter(isOfWorld).sort(),
  };
}

/** `name address "uid"` of each member of each ipset. */
function membersOf(text: string): string[] {
  return [...text.matchAll(/^add (\S+) (\S+)(?: comment ("[^"]*"))?/gm)].map(
    ([, name, address, comment]) => [name, address, comment].filter(Boolean).join(' '),
  );
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

interface NftReading {
  readonly rules: string[];
  readonly sets: string[];
}

/** Tables that iptables does not show: inet, netdev and others that somebody made with nft. */
async function readNft(lab: Lab, place: string): Promise<NftReading> {
  const listed = await tryInPlace(lab, place, ['nft', '-s', 'list', 'ruleset']);
  const tables = (listed ?? '')
    .split(/^(?=table )/m)
    .filter((text) => /^table (?!ip6? )/.test(text));
  const name = (text: string): string => /^table (\S+ \S+)/.exec(text)?.[1] ?? '';
  const isRewrite = (text: string): boolean => name(text).startsWith(REWRITE_PREFIX);
  const parts = tables
    .filter((text) => !isRewrite(text))
    .map((text) => readTable(name(text), text));
  return {
    rules: parts.flatMap(({ rules }) => rules),
    sets: parts.flatMap(({ sets }) => sets),
  };
}

/** Vxlan devices whose headers are made Geneve: the lab's stand-in for the kernel's device. */
function standIns(lab: Lab, place: string): ReadonlySet<string> {
  const tunnels = tunnelsInPlace(lab, place).filter(({ kind }) => kind !== 'geneve');
  return new Set(tunnels.map(({ name }) => name));
}

const REWRITE_PREFIX = `netdev ${rewriteTable('')}`;

function readTable(table: string, text: string): { rules: string[]; sets: string[] } {
  const sets = [...text.matchAll(/^\tset (\S+) \{([^]*?)^\t\}/gm)].flatMap(([, set, body = '']) => {
    const elements = /elements = \{([^}]*)\}/.exec(body)?.[1] ?? '';
    const members = elements.split(',').map((each) => each.trim().replace(' comment ', ' '));
    return members.filter((member) => member !== '').map((member) => `${set} ${member}`);
  });
  let chain = '';
  const rules = linesOf(text.replaceAll(/^\tset \S+ \{[^]*?^\t\}/gm, '')).flatMap((line) => {
    const opened = /^chain (\S+) \{/.exec(line)?.[1];
    if (opened !== undefined) chain = opened;
    const isRule = opened === undefined && line !== '}' && !line.startsWith('table ');
    return isRule ? [`nft ${table} ${chain} ${line}`] : [];
  });
  return { rules, sets };
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

function linksOf(text: string, rewritten: ReadonlySet<string>): string[] {
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
      const isStandIn = rewritten.has(ifname);
      const kind = isStandIn
        ? 'geneve (vxlan, header rewritten)'
        : (linkinfo?.info_kind ?? 'device');
      return [ifname, kind, state, `mtu ${mtu}`, ...tunnel, ...addresses].join(' ');
    })
    .filter(isOfWorld)
    .sort();
}

/** Programs of ours, as source and as bundle; all are called `node`. */
const OURS = /\/(ztunnel|agent|app-host|supervisor)(?:\/main)?\.(?:ts|mjs)(?: |$)/;

/** Listening sockets with the program behind them; of ours, which of them. */
function socketsOf(text: string): string[] {
  const [listed = '', commands = ''] = text.split(/^===$/m);
  const programs = new Map(
    linesOf(commands).map((line): [string, string | undefined] => {
      const [pid = ''] = line.split(' ');
      return [pid, OURS.exec(line)?.[1]];
    }),
  );
  const sockets = linesOf(listed).map((line) => {
    const [protocol = '', , , , local = ''] = line.split(' ');
    const [, name, pid = ''] = /users:\(\("([^"]+)",pid=(\d+)/.exec(line) ?? [];
    const program = programs.get(pid) ?? name;
    return `${protocol} ${local}${program === undefined ? '' : ` ${program}`}`;
  });
  return [...new Set(sockets)].sort();
}
