import type { IptablesBackend } from '../../dataplane/redirect/era.ts';
import { TUNNEL_KINDS, type TunnelKind } from '../../dataplane/tunnels/tunnel.ts';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { envoyCapability } from './envoy.ts';
import { geneveTunnels } from './geneve-tunnels.ts';
import { nodeCapability } from './program-node.ts';
import { runProgram } from './run.ts';

/** One thing a machine has or has not, and why anyone would care. */
export interface Capability {
  readonly name: string;
  readonly present: boolean;
  /** What was seen when it was tried. */
  readonly evidence: string;
  readonly neededFor: string;
  /** `always`, the eras and flavours (`cni vxlan`) that need it, or `never`: good to have. */
  readonly required: 'always' | 'never' | readonly string[];
  readonly howToGet: string;
}

interface Probe {
  readonly name: string;
  readonly neededFor: string;
  readonly required: Capability['required'];
  readonly howToGet: string;
  /** Tried in a network namespace of its own, which ends with it. */
  readonly argv: readonly [string, ...string[]];
  readonly input?: string;
}

const KERNEL = 'a kernel that has it: the cloud and generic kernels of Debian 12/13 and Ubuntu do';

/** An emulated machine takes half a minute for a rule whose modules it has to load first. */
const PROBE_TIMEOUT_MS = 120_000;
/** Probes run beside each other; iptables-legacy has one lock for all. */
const LOCK_WAIT_SECONDS = '10';
const IPTABLES_IN_POD = ['inpod-tproxy', 'inpod-redirect'];
/** Eras that set the host's probes aside with iptables and ipset. */
const IPTABLES_ERAS = ['geneve', 'inpod-tproxy', 'inpod-redirect'];

const PROBES: readonly Probe[] = [
  {
    name: 'namespaces',
    neededFor: 'a lab that ends with its supervisor',
    required: 'always',
    howToGet: 'root, and a machine or container that allows unshare(2)',
    argv: ['unshare', '--fork', '--pid', '--mount', 'true'],
  },
  link('veth', 'links', 'always', ['type', 'veth', 'peer', 'name', 'probe1']),
  link('bridge', 'the switch between nodes', 'always', ['type', 'bridge']),
  {
    name: 'br_netfilter',
    neededFor: 'service addresses and policies between pods of one bridge (cni: bridge)',
    required: ['cni bridge'],
    howToGet: `modprobe br_netfilter, and ${KERNEL}`,
    argv: ['test', '-e', '/proc/sys/net/bridge/bridge-nf-call-iptables'],
  },
  rule('REDIRECT', 'capturing outbound traffic', 'always', 'nat', [
    '-A OUTPUT -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001',
  ]),
  rule('CONNMARK', 'bringing replies back to ztunnel', 'always', 'mangle', [
    '-A PREROUTING -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff',
  ]),
  rule('TPROXY', 'capturing inbound traffic', ['inpod-tproxy', 'geneve'], 'mangle', [
    '-A PREROUTING -p tcp -j TPROXY --on-port 15006 --tproxy-mark 0x111/0xfff',
  ]),
  rule('conntrack match', 'letting established connections pass', ['inpod-tproxy'], 'mangle', [
    '-A PREROUTING -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  ]),
  rule(
    'conntrack zones',
    "telling the proxy's DNS queries from the app's",
    IPTABLES_IN_POD,
    'raw',
    ['-A OUTPUT -p udp -m udp --dport 53 -j CT --zone 1'],
  ),
  rule('owner --socket-exists', 'exempting the probes of the node', IPTABLES_ERAS, 'nat', [
    '-A POSTROUTING -p tcp -m owner --socket-exists -j SNAT --to-source 169.254.7.127',
  ]),
  rule('statistic', 'balancing service addresses', 'always', 'nat', [
    '-A OUTPUT -m statistic --mode random --probability 0.5 -j ACCEPT',
  ]),
  {
    name: 'ipset',
    neededFor: 'the set of probed pods on a node',
    required: IPTABLES_ERAS,
    howToGet: `the package ipset, and ${KERNEL}`,
    argv: ['ipset', 'create', 'probe', 'hash:ip', 'comment'],
  },
  backend('nft'),
  backend('legacy'),
  nft('nft nat', 'capturing with nftables', [
    'add chain inet probe c { type nat hook output priority -100 ; }',
    'add rule inet probe c meta l4proto tcp meta mark & 0xfff != 0x539 counter redirect to :15001',
  ]),
  nft('nft route and ct', 'bringing replies back to ztunnel with nftables', [
    'add chain inet probe c { type route hook output priority -150 ; }',
    'add rule inet probe c ct mark & 0xfff == 0x111 counter meta mark set ct mark',
    'add chain inet probe r { type filter hook output priority -300 ; }',
    'add rule inet probe r udp dport 53 ct zone set 1',
  ]),
  nft('nft sets and skuid', 'exempting the probes of the node with nftables', [
    'add set inet probe s { type ipv4_addr ; }',
    'add chain inet probe c { type nat hook postrouting priority 100 ; }',
    'add rule inet probe c meta skuid 0 ip daddr @s counter snat ip to 169.254.7.127',
  ]),
  link('geneve device', 'the Geneve era without a stand-in', 'never', [
    'type',
    'geneve',
    'id',
    '1000',
    'remote',
    '192.0.2.1',
  ]),
  link(
    'vxlan device',
    'the overlay (cni: vxlan), the stand-in for Geneve',
    ['cni vxlan'],
    ['type', 'vxlan', 'id', '1000', 'remote', '192.0.2.1', 'dstport', '6081'],
  ),
  {
    name: 'netem',
    neededFor: 'delay and loss on links',
    required: 'never',
    howToGet: KERNEL,
    argv: ['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'],
  },
];

function link(name: string, neededFor: string, required: Probe['required'], how: string[]): Probe {
  return {
    name,
    neededFor,
    required,
    howToGet: KERNEL,
    argv: ['ip', 'link', 'add', 'probe0', ...how],
  };
}

function rule(
  name: string,
  neededFor: string,
  required: Probe['required'],
  table: string,
  rules: readonly string[],
): Probe {
  return {
    name,
    neededFor,
    required,
    howToGet: `the package iptables, and ${KERNEL}`,
    argv: ['iptables-restore', '--noflush', '-w', LOCK_WAIT_SECONDS],
    input: `*${table}\n${rules.join('\n')}\nCOMMIT\n`,
  };
}

/** By the path that the lab's own /etc/alternatives lead to. */
function backend(name: IptablesBackend): Probe {
  return {
    name: `iptables ${name}`,
    neededFor: `labs with iptables: ${name}`,
    required: [`iptables ${name}`],
    howToGet: `the package iptables of Debian or Ubuntu, and ${KERNEL}`,
    argv: [`/usr/sbin/iptables-${name}-restore`, '--noflush', '-w', LOCK_WAIT_SECONDS],
    input: '*nat\n-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n',
  };
}

function nft(name: string, neededFor: string, commands: readonly string[]): Probe {
  return {
    name,
    neededFor,
    required: ['inpod-nft'],
    howToGet: `the package nftables, and ${KERNEL}`,
    argv: ['nft', '-f', '-'],
    input: `add table inet probe\n${commands.join('\n')}\n`,
  };
}

/** Tries everything a lab may need, each in a namespace that ends with the trial. Needs root. */
export async function probeMachine(): Promise<readonly Capability[]> {
  const tried = await Promise.all(PROBES.map(tryProbe));
  const programs = await Promise.all([nodeCapability(), envoyCapability()]);
  return [...(await readFacts()), ...tried, await geneveTunnels(), ...programs];
}

/**
 * The capabilities that stand in the way of an era, or of any of several needs (`cni bridge`), on
 * this machine; empty when it can run.
 */
export async function missingFor(...needs: readonly string[]): Promise<readonly Capability[]> {
  const wanted = PROBES.filter((probe) => needs.some((need) => isRequired(probe.required, need)));
  const tried = await Promise.all(wanted.map(tryProbe));
  if (needs.includes('geneve')) tried.push(await geneveTunnels(tunnelKindIn(needs)));
  if (needs.includes('sidecars')) tried.push(await envoyCapability());
  return tried.filter((capability) => !capability.present);
}

/** The one kind of tunnel that is asked for, as `tunnels vxlan-nft`. */
function tunnelKindIn(needs: readonly string[]): TunnelKind | undefined {
  return TUNNEL_KINDS.find((kind) => needs.includes(`tunnels ${kind}`));
}

export function isRequired(required: Capability['required'], era: string): boolean {
  return required === 'always' || (required !== 'never' && required.includes(era));
}

async function tryProbe(probe: Probe): Promise<Capability> {
  const done = await runProgram(['unshare', '--net', ...probe.argv], {
    ...(probe.input === undefined ? {} : { input: probe.input }),
    timeoutMs: PROBE_TIMEOUT_MS,
  });
  const { name, neededFor, required, howToGet } = probe;
  const evidence =
    done.exitCode === 0 ? 'tried, works' : firstLine(done.stderr) || `exit ${done.exitCode}`;
  return { name, neededFor, required, howToGet, present: done.exitCode === 0, evidence };
}

async function readFacts(): Promise<readonly Capability[]> {
  const filesystems = await readFile('/proc/filesystems', 'utf8');
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const hasRcvMark = major > 5 || (major === 5 && minor >= 19);
  return [
    {
      name: 'socket marks in captures',
      present: hasRcvMark,
      evidence: `Linux ${release()}`,
      neededFor: "telling the proxy's packets by their mark",
      required: 'never',
      howToGet: 'Linux 5.19 or newer (SO_RCVMARK)',
    },
    {
      name: 'overlay file system',
      present: /\boverlay$/m.test(filesystems),
      evidence: '/proc/filesystems',
      neededFor: 'a private /etc without copying it',
      required: 'never',
      howToGet: KERNEL,
    },
    {
      name: 'kernel TLS',
      present: existsSync('/proc/net/tls_stat'),
      evidence: '/proc/net/tls_stat',
      neededFor: 'nothing yet: records are sealed in user space',
      required: 'never',
      howToGet: KERNEL,
    },
  ];
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
