import type { RuleSet, SysctlEntry, TunnelLink } from '../../dataplane/redirect/rule.ts';
import { finishInPlace } from '../world/in-place.ts';
import { listProgram } from '../../dataplane/kernel/bpf-assembler.ts';
import type { HeaderProgram } from '../../dataplane/tunnels/header-programs.ts';
import { headerProgram, type HeaderWay } from '../../dataplane/tunnels/header-program.ts';
import { TUNNEL_KIND_TEXT } from '../../dataplane/tunnels/tunnel.ts';
import { tunnelsInPlace } from '../world/tunnels-in-place.ts';
import type { Lab } from '../world/lab.ts';

/** A kernel setting that the era wants, and what it is. */
export interface SettingReading extends SysctlEntry {
  /** Absent: there is no such key, as without the link. */
  readonly found?: string;
}

/** A tunnel that the era wants, and what there is under its name. */
export interface LinkReading extends TunnelLink {
  /** VNI, remote, port, state and kind, as the kernel tells them; absent: there is none. */
  readonly found?: string;
  /** The eBPF programs that rewrite its header, where it has such. */
  readonly programs?: readonly ProgramReading[];
  readonly isRight: boolean;
}

/** A program at the link below a tunnel; its instructions are those that the kernel was given. */
export interface ProgramReading {
  readonly link: string;
  readonly way: HeaderWay;
  /** As `bpftool` shows them. */
  readonly id: number;
  readonly tag: string;
  readonly instructions: readonly string[];
}

export interface HostStateReading {
  readonly settings: readonly SettingReading[];
  readonly links: readonly LinkReading[];
}

/** Settings and tunnels that a rule set wants in a place, as they are; nothing where it wants none. */
export async function readHostState(
  lab: Lab,
  target: string,
  wanted: RuleSet | undefined,
): Promise<HostStateReading> {
  const [settings, links] = await Promise.all([
    readSettings(lab, target, wanted?.sysctls ?? []),
    readLinks(lab, target, wanted?.links ?? []),
  ]);
  return { settings, links };
}

/** Whether settings and tunnels are as wanted. */
export function isHostStateRight({ settings, links }: HostStateReading): boolean {
  return settings.every(({ value, found }) => value === found) && links.every((one) => one.isRight);
}

async function readSettings(
  lab: Lab,
  target: string,
  wanted: readonly SysctlEntry[],
): Promise<readonly SettingReading[]> {
  if (wanted.length === 0) return [];
  const files = wanted.map(({ key }) => key);
  // A file that is not there ends grep with 2; what is there is printed all the same.
  const argv = ['sh', '-c', `cd /proc/sys && grep -H . ${files.join(' ')}`];
  const { stdout: text } = await finishInPlace(lab, target, argv);
  const values = new Map(text.split('\n').map((line) => line.split(':') as [string, string]));
  return wanted.map((entry) => {
    const found = values.get(entry.key);
    return found === undefined ? entry : { ...entry, found };
  });
}

interface LinkJson {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
  };
}

async function readLinks(
  lab: Lab,
  target: string,
  wanted: readonly TunnelLink[],
): Promise<readonly LinkReading[]> {
  if (wanted.length === 0) return [];
  const argv = ['ip', '-j', '-d', 'link', 'show'];
  const { stdout } = await finishInPlace(lab, target, argv);
  const made = tunnelsInPlace(lab, target);
  const links = (stdout.trim() === '' ? [] : JSON.parse(stdout)) as readonly LinkJson[];
  return wanted.map((tunnel) => {
    const link = links.find(({ ifname }) => ifname === tunnel.name);
    if (link === undefined) return { ...tunnel, isRight: false };
    const { id, remote, port } = link.linkinfo?.info_data ?? {};
    const kind = link.linkinfo?.info_kind ?? 'device';
    const state = link.flags.includes('UP') ? 'up' : 'down';
    const isRight =
      id === tunnel.vni && remote === tunnel.remote && port === tunnel.port && state === 'up';
    const tunnelMade = made.find(({ name }) => name === tunnel.name);
    const how = tunnelMade === undefined ? `${kind}, no Geneve` : TUNNEL_KIND_TEXT[tunnelMade.kind];
    const found = `VNI ${String(id)} to ${String(remote)}:${String(port)}, ${state}, ${how}`;
    const programs = tunnelMade?.programs?.map((program) => readProgram(tunnel, program));
    return {
      ...tunnel,
      found,
      ...(programs === undefined ? {} : { programs }),
      isRight: isRight && tunnelMade !== undefined,
    };
  });
}

function readProgram(tunnel: TunnelLink, { link, way, id, tag }: HeaderProgram): ProgramReading {
  return { link: link.name, way, id, tag, instructions: listProgram(headerProgram(tunnel, way)) };
}
