import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { $, path } from 'zx';

/** In the nest's own /etc/passwd: somebody who is not root and has the project in their home. */
export const LAPTOP = 'laptop';
const UID = 4242;
const DIES_WITH_US = ['--pdeathsig', 'KILL'];
/** Where the nest sees the folder of the recipe, whoever may enter the folders above it here. */
export const INSIDE = '/mnt';

/**
 * Namespaces in which libvirt, its bridges, rules, dnsmasq and VMs live and end: network, mounts and
 * processes. Nothing of it is in the machine's own; the way out is slirp4netns, which needs no rule.
 */
export class Nest implements AsyncDisposable {
  readonly #children: ChildProcess[] = [];
  readonly #pid: number;

  private constructor(children: ChildProcess[], pid: number) {
    this.#children = children;
    this.#pid = pid;
  }

  static async open(folder: string): Promise<Nest> {
    const script = path.join(folder, 'nest.sh');
    await writeFile(script, nestScript(folder));
    const kinds = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
    const first = spawn('setpriv', [...DIES_WITH_US, 'unshare', ...kinds, 'bash', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // It says so when everything is mounted.
    if (first.stdout) await once(first.stdout, 'data');
    const pid = first.pid ?? 0;
    const slirp = ['slirp4netns', '--configure', '--mtu=1500', '--disable-host-loopback'];
    const way = spawn('setpriv', [...DIES_WITH_US, ...slirp, String(pid), 'tap0'], {
      stdio: 'ignore',
    });
    return new Nest([way, first], pid);
  }

  /** Arguments that make a program run in the nest, as root or as the person with the laptop. */
  enter(user: 'root' | typeof LAPTOP = 'root'): readonly string[] {
    // Processes of the nest are below its first one, which `--kill-child` ends.
    const target = String(firstChild(this.#pid));
    const inside = ['nsenter', '--target', target, '--net', '--mount', '--pid'];
    if (user === 'root') return inside;
    const home = `${INSIDE}/${LAPTOP}`;
    const drop = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups'];
    return [
      ...inside,
      ...drop,
      'env',
      '-C',
      `${home}/ambient-lab`,
      `HOME=${home}`,
      `USER=${LAPTOP}`,
    ];
  }

  /** Starts what must run for as long as the nest; its output goes to a file. */
  async startDaemon(name: string, folder: string, isUp: () => Promise<boolean>): Promise<void> {
    const log = openSync(path.join(folder, `${name}.log`), 'w');
    const [program = '', ...args] = [...this.enter(), name];
    this.#children.unshift(spawn(program, args, { stdio: ['ignore', log, log] }));
    for (let left = 300; left > 0 && !(await isUp()); left--) await delay(200);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

function firstChild(pid: number): number {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return Number(text.trim().split(' ')[0]);
}

/** The project as a person clones it, with the modules of this clone. */
export async function cloneForLaptop(root: string, folder: string): Promise<string> {
  const clone = path.join(folder, LAPTOP, 'ambient-lab');
  const isThere = existsSync(path.join(clone, '.vagrant', 'machines'));
  if (isThere) {
    // Its VM goes on from where an earlier run has left it.
    const git = ['git', '-c', 'safe.directory=*', '-C', clone];
    await $`${git} fetch --quiet ${root} HEAD`;
    await $`${git} reset --quiet --hard FETCH_HEAD`;
    await $`chown -R ${UID}:${UID} ${path.join(folder, LAPTOP)}`;
    return clone;
  }
  await rm(path.join(folder, LAPTOP), { recursive: true, force: true });
  await $`git clone --quiet ${root} ${clone}`;
  await mkdir(path.join(clone, 'node_modules'));
  await $`chown -R ${UID}:${UID} ${path.join(folder, LAPTOP)}`;
  return clone;
}

function nestScript(folder: string): string {
  return `
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/lock ${folder}/libvirt/images
ip link set lo up
cp /etc/passwd ${folder}/passwd
echo '${LAPTOP}:x:${UID}:${UID}::${INSIDE}/${LAPTOP}:/bin/bash' >> ${folder}/passwd
cp /etc/group ${folder}/group
echo '${LAPTOP}:x:${UID}:' >> ${folder}/group
mount --bind ${folder}/passwd /etc/passwd
mount --bind ${folder}/group /etc/group
echo 'nameserver 10.0.2.3' > ${folder}/resolv.conf
mount --bind ${folder}/resolv.conf /etc/resolv.conf
[ -d ${folder}/etc ] || cp -a /etc/libvirt ${folder}/etc
cat > ${folder}/etc/qemu.conf <<'END'
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
END
cat > ${folder}/etc/libvirtd.conf <<'END'
unix_sock_group = "root"
unix_sock_rw_perms = "0777"
auth_unix_rw = "none"
END
mount --bind ${folder}/etc /etc/libvirt
mount --bind ${folder}/libvirt /var/lib/libvirt
mount -t tmpfs tmpfs /var/cache/libvirt
mount -t tmpfs tmpfs /var/log/libvirt
mount --bind ${folder} ${INSIDE}
echo ready
trap '' TERM
while :; do wait || true; sleep 0.2; done
`;
}
