import { inPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';
import type { Listener, PodEvidence, Readings } from './evidence.ts';

/** Settings that have cost people days, of every namespace. */
const KEYS = [
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.default.rp_filter',
  'net.ipv6.conf.all.disable_ipv6',
  'net.ipv6.conf.default.disable_ipv6',
  'net.ipv6.conf.lo.disable_ipv6',
];

/** Listening TCP sockets of a namespace with their owners. */
export async function readListeners(lab: Lab, place: string): Promise<readonly Listener[]> {
  const text = await inPlace(lab, place, ['ss', '-H', '-ltnpe']);
  return text.split('\n').flatMap((line) => parseListener(line) ?? []);
}

/** Kernel settings of a namespace; those that the kernel has not are left out. */
export async function readSettings(lab: Lab, place: string): Promise<PodEvidence['settings']> {
  const text = await inPlace(lab, place, ['sysctl', '-e', ...KEYS]);
  const pairs = text.split('\n').map((line) => line.split(' = '));
  return Object.fromEntries(
    pairs.flatMap(([key, value]) =>
      key === undefined || value === undefined ? [] : [[key, value]],
    ),
  );
}

/** Settings of a namespace, and what its kernel has dropped without telling. */
export async function readReadings(lab: Lab, place: string): Promise<Readings> {
  const [settings, netstat] = await Promise.all([
    readSettings(lab, place),
    inPlace(lab, place, ['cat', '/proc/net/netstat']),
  ]);
  return { settings, reversePathDrops: counterOf(netstat, 'TcpExt:', 'IPReversePathFilter') };
}

/** A counter of /proc/net/netstat, whose lines come in pairs: names, then values. */
function counterOf(netstat: string, group: string, name: string): number {
  const [names = [], values = []] = netstat
    .split('\n')
    .filter((line) => line.startsWith(group))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf(name)] ?? 0);
}

/** `LISTEN 0 128 *:15001 *:* users:(("node",pid=26,fd=49)) …` */
export function parseListener(line: string): Listener | undefined {
  const [state, , , local = ''] = line.trim().split(/\s+/);
  const at = local.lastIndexOf(':');
  const port = Number(local.slice(at + 1));
  if (state !== 'LISTEN' || at < 0 || !Number.isInteger(port)) return undefined;
  const [, program, pid] = /users:\(\("([^"]*)",pid=(\d+)/.exec(line) ?? [];
  return {
    address: local.slice(0, at),
    port,
    ...(program === undefined ? {} : { program, pid: Number(pid) }),
    line: withoutDetails(line),
  };
}

/** Numbers of the kernel's own that nobody can look up. */
function withoutDetails(line: string): string {
  const words = line.trim().split(/\s+/);
  return words.filter((word) => !/^(ino|sk|cgroup|v6only):|^<->$/.test(word)).join(' ');
}
