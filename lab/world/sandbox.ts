import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mount, MS_BIND, MS_NODEV, MS_NOSUID } from '../../dataplane/kernel/mount.ts';
import { isKernelError } from '../../dataplane/kernel/errors.ts';
import type { IptablesBackend } from '../../dataplane/redirect/era.ts';
import { ENVOY_IN_LAB } from './paths.ts';
import type { Plan } from '../plan/plan.ts';

const UPPER = '/run/ambient-lab.etc/upper';
const WORK = '/run/ambient-lab.etc/work';

/**
 * Gives the supervisor's mount namespace its own /run and /etc, so that `ip netns`, iptables and
 * every program of the lab write there and not on the machine. The lab's directory stays the
 * machine's own, at the same path. To be called by PID 1 of a private mount namespace, before
 * anything else is started.
 *
 * @throws {KernelError}
 */
export function enterSandbox(plan: Plan, labDirectory: string, envoy?: string): void {
  // Its path may lie under what is covered next.
  const held = envoy === undefined ? undefined : openSync(envoy, 'r');
  replaceRun(labDirectory);
  if (held !== undefined) bindEnvoy(held);
  replaceEtc(plan);
  if (plan.iptables !== undefined) chooseIptables(plan.iptables);
  writeResolver(plan);
}

/** The directory is held by a descriptor while its path is covered, then bound back to the path. */
function replaceRun(labDirectory: string): void {
  const held = openSync(labDirectory, 'r');
  mount({
    source: 'tmpfs',
    target: '/run',
    type: 'tmpfs',
    flags: MS_NOSUID | MS_NODEV,
    data: 'mode=0755',
  });
  mkdirSync(labDirectory, { recursive: true });
  mount({ source: `/proc/self/fd/${held}`, target: labDirectory, flags: MS_BIND });
  closeSync(held);
  for (const folder of ['/run/netns', '/run/lock', UPPER, WORK])
    mkdirSync(folder, { recursive: true });
}

function bindEnvoy(held: number): void {
  mkdirSync('/run/envoy', { recursive: true });
  writeFileSync(ENVOY_IN_LAB, '');
  mount({ source: `/proc/self/fd/${held}`, target: ENVOY_IN_LAB, flags: MS_BIND });
  closeSync(held);
}

function replaceEtc(plan: Plan): void {
  try {
    // Below the overlay, while it is not there yet: through it each file takes several times as long.
    writeNetnsFiles(plan, UPPER);
    const data = `lowerdir=/etc,upperdir=${UPPER},workdir=${WORK}`;
    mount({ source: 'overlay', target: '/etc', type: 'overlay', data });
  } catch (error) {
    if (!['ENODEV', 'EINVAL', 'EPERM'].some((name) => isKernelError(error, name))) throw error;
    copyEtc();
    writeNetnsFiles(plan, '/etc');
  }
}

/** For kernels without overlay, or with a root file system that overlay refuses. */
function copyEtc(): void {
  execFileSync('cp', ['-a', '/etc/.', UPPER]);
  mount({ source: UPPER, target: '/etc', flags: MS_BIND });
}

/**
 * What `update-alternatives --set iptables` does on Debian and Ubuntu, in the lab's own /etc: the
 * lab, its agents and whoever enters a pod then speak to one backend by the usual names.
 */
function chooseIptables(backend: IptablesBackend): void {
  for (const program of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore']) {
      const link = `/etc/alternatives/${program}${suffix}`;
      rmSync(link, { force: true });
      symlinkSync(`/usr/sbin/${program}-${backend}${suffix}`, link);
    }
  }
}

/**
 * What programs see that were not started through `ip netns exec`. The files are made anew: on many
 * machines resolv.conf is a link into the /run that is covered now, and `ip netns exec` binds a
 * namespace's own file over it only where one exists. Without mDNS, so that `.local` is asked of
 * the cluster's DNS.
 */
function writeResolver(plan: Plan): void {
  const servers = [plan.dnsServiceIp, plan.secondDnsServiceIp].filter(Boolean);
  replaceFile('/etc/resolv.conf', servers.map((ip) => `nameserver ${ip}\n`).join(''));
  replaceFile('/etc/hosts', '127.0.0.1 localhost\n::1 localhost ip6-localhost\n');
  replaceFile('/etc/nsswitch.conf', NSSWITCH);
}

/** What `ip netns exec` binds over the files above, for each namespace that has its own. */
function writeNetnsFiles(plan: Plan, etc: string): void {
  for (const { name, resolvConf, hosts } of plan.netns) {
    if (resolvConf === undefined && hosts === undefined) continue;
    mkdirSync(`${etc}/netns/${name}`, { recursive: true });
    if (resolvConf !== undefined) writeFileSync(`${etc}/netns/${name}/resolv.conf`, resolvConf);
    if (hosts !== undefined) writeFileSync(`${etc}/netns/${name}/hosts`, hosts);
  }
}

function replaceFile(path: string, text: string): void {
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode: 0o644 });
}

const NSSWITCH = `passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
`;
