import { isIP } from 'node:net';
import { HOST_PROBE_IPV4, HOST_PROBE_IPV6 } from '../redirect/constants.ts';
import { DEFAULT_ERA, ERAS, IPTABLES_BACKENDS, TPROXY_RELEASES } from '../redirect/era.ts';
import type { Era, IptablesBackend, TproxyRelease } from '../redirect/era.ts';
import { DEFAULT_GENEVE_RELEASE, GENEVE_RELEASES } from '../redirect/geneve-constants.ts';
import type { GeneveRelease } from '../redirect/geneve-constants.ts';
import type { HostRelease } from '../redirect/host-rules.ts';
import { TUNNEL_KINDS, type TunnelKind } from '../tunnels/tunnel.ts';
import { AgentInputError } from './errors.ts';
import { DEFAULT_PROGRAMS, programsOf } from './programs.ts';
import type { Programs } from './programs.ts';

/** What the agent is told by its environment; names are Istio's where Istio has one. */
export interface AgentSettings {
  /** NODE_NAME */
  readonly node: string;
  /** ZDS_SOCKET: SOCK_SEQPACKET, ztunnel connects (Istio: /var/run/ztunnel/ztunnel.sock). */
  readonly zdsSocket: string;
  /** PLUGIN_SOCKET: HTTP (Istio: /var/run/istio-cni/pluginevent.sock). */
  readonly pluginSocket: string;
  /** ERA; inpod-redirect when absent. */
  readonly era: Era;
  /** DNS_CAPTURE (Istio: AMBIENT_DNS_CAPTURE); true when absent, as since 1.25. */
  readonly dnsCapture: boolean;
  /** ENABLE_IPV6 (Istio: AMBIENT_IPV6); false when absent. */
  readonly ipv6: boolean;
  /** HOST_PROBE_SNAT_IP, HOST_PROBE_SNAT_IPV6 */
  readonly probeAddress: string;
  readonly probeAddressIpv6: string;
  /** HOST_RELEASE: release whose set name and jump the node gets. */
  readonly hostRelease: HostRelease | undefined;
  /** TPROXY_RELEASE: Istio release whose pods and node are meant, era inpod-tproxy. */
  readonly tproxyRelease: TproxyRelease | undefined;
  /** GENEVE_RELEASE: Istio release whose node-level rules are meant, era geneve. */
  readonly geneveRelease: GeneveRelease;
  /** TUNNELS: how they are made, era geneve; the best that works here when absent. */
  readonly tunnelKind: TunnelKind | undefined;
  /** NODE_IP, POD_RANGE: the node's InternalIP and PodCIDR, era geneve. */
  readonly nodeAddress: string | undefined;
  readonly podRange: string | undefined;
  /** AMBIENT_CONFIG: file that tells the CNI plugin whether ztunnel is ready, era geneve. */
  readonly configFile: string | undefined;
  /** STATE_FILE: journal of enrolled pods; none when absent. */
  readonly stateFile: string | undefined;
  /** RECONCILE_INTERVAL_MS; 0, never, when absent. */
  readonly reconcileIntervalMs: number;
  /** ZDS_DEADLINE_MS of each message; 5000 when absent. */
  readonly zdsDeadlineMs: number;
  /** KEEP_HOST_RULES: leave the node's rule and set when ending (Istio: upgrades, reboots). */
  readonly keepHostRules: boolean;
  readonly logLevel: string;
  /** KUBELET_UID: whose connections are probes in era inpod-nft; 0 when absent. */
  readonly kubeletUid: number;
  /**
   * IPTABLES_BACKEND (Istio: FORCE_IPTABLES_BINARY): nft or legacy; found out when absent, unless
   * IPTABLES_RESTORE names a program.
   */
  readonly iptablesBackend: IptablesBackend | undefined;
  /** IPTABLES_RESTORE, IPTABLES_SAVE, IP6TABLES_RESTORE, IP6TABLES_SAVE, IPSET, NFT */
  readonly programs: Programs;
}

const HOST_RELEASES: readonly HostRelease[] = ['1.21', '1.23', '1.27'];
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/**
 * Reads the environment.
 * @throws {AgentInputError} naming the variable that is missing or wrong
 */
export function readSettings(env: Readonly<Record<string, string | undefined>>): AgentSettings {
  const era = oneOf(env, 'ERA', ERAS) ?? DEFAULT_ERA;
  const iptablesBackend = oneOf(env, 'IPTABLES_BACKEND', IPTABLES_BACKENDS);
  return {
    node: required(env, 'NODE_NAME'),
    zdsSocket: required(env, 'ZDS_SOCKET'),
    pluginSocket: required(env, 'PLUGIN_SOCKET'),
    era,
    dnsCapture: flag(env, 'DNS_CAPTURE', true),
    ipv6: flag(env, 'ENABLE_IPV6', false),
    probeAddress: address(env, 'HOST_PROBE_SNAT_IP', 4) ?? HOST_PROBE_IPV4,
    probeAddressIpv6: address(env, 'HOST_PROBE_SNAT_IPV6', 6) ?? HOST_PROBE_IPV6,
    hostRelease: oneOf(env, 'HOST_RELEASE', HOST_RELEASES),
    tproxyRelease: oneOf(env, 'TPROXY_RELEASE', TPROXY_RELEASES),
    geneveRelease: oneOf(env, 'GENEVE_RELEASE', GENEVE_RELEASES) ?? DEFAULT_GENEVE_RELEASE,
    tunnelKind: oneOf(env, 'TUNNELS', TUNNEL_KINDS),
    nodeAddress: address(env, 'NODE_IP', 4),
    podRange: cidr(env, 'POD_RANGE'),
    configFile: text(env, 'AMBIENT_CONFIG'),
    stateFile: text(env, 'STATE_FILE'),
    reconcileIntervalMs: milliseconds(env, 'RECONCILE_INTERVAL_MS', 0),
    zdsDeadlineMs: milliseconds(env, 'ZDS_DEADLINE_MS', 5000),
    keepHostRules: flag(env, 'KEEP_HOST_RULES', false),
    logLevel: oneOf(env, 'LOG_LEVEL', LOG_LEVELS) ?? 'info',
    kubeletUid: number(env, 'KUBELET_UID', 0),
    iptablesBackend,
    programs: programsIn(env, iptablesBackend),
  };
}

function programsIn(env: Env, backend: IptablesBackend | undefined): Programs {
  const usual = backend === undefined ? DEFAULT_PROGRAMS : programsOf(backend);
  return {
    ...usual,
    iptablesRestore: text(env, 'IPTABLES_RESTORE') ?? usual.iptablesRestore,
    iptablesSave: text(env, 'IPTABLES_SAVE') ?? usual.iptablesSave,
    ip6tablesRestore: text(env, 'IP6TABLES_RESTORE') ?? usual.ip6tablesRestore,
    ip6tablesSave: text(env, 'IP6TABLES_SAVE') ?? usual.ip6tablesSave,
    ipset: text(env, 'IPSET') ?? usual.ipset,
    nft: text(env, 'NFT') ?? usual.nft,
  };
}

type Env = Readonly<Record<string, string | undefined>>;

function text(env: Env, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function required(env: Env, name: string): string {
  const value = text(env, name);
  if (value !== undefined) return value;
  throw new AgentInputError(`Cannot start the node agent: variable ${name} is not set`);
}

function bad(name: string, value: string, wished: string): AgentInputError {
  return new AgentInputError(`Cannot start the node agent with ${name} "${value}": ${wished}`);
}

function flag(env: Env, name: string, fallback: boolean): boolean {
  const value = text(env, name);
  if (value === undefined) return fallback;
  if (value === 'true' || value === 'false') return value === 'true';
  throw bad(name, value, 'true or false is wished');
}

function address(env: Env, name: string, version: 4 | 6): string | undefined {
  const value = text(env, name);
  if (value === undefined || isIP(value) === version) return value;
  throw bad(name, value, `an IPv${version} address is wished`);
}

function cidr(env: Env, name: string): string | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const [base = '', length = ''] = value.split('/');
  if (isIP(base) === 4 && /^\d{1,2}$/.test(length) && Number(length) <= 32) return value;
  throw bad(name, value, 'a range of IPv4 addresses is wished');
}

function milliseconds(env: Env, name: string, fallback: number): number {
  return number(env, name, fallback, 'milliseconds are wished');
}

function number(env: Env, name: string, fallback: number, wished = 'a number is wished'): number {
  const value = text(env, name);
  if (value === undefined) return fallback;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw bad(name, value, wished);
}

function oneOf<T extends string>(env: Env, name: string, values: readonly T[]): T | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const found = values.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw bad(name, value, `one of ${values.join(', ')} is wished`);
}
