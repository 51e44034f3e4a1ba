import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, runProgram, type RunOptions } from '../../lab/hosts/run.ts';
import { quote } from '../../lab/hosts/remote/host.ts';
import { collectProject } from '../../lab/hosts/remote/project.ts';
import type { TerminalSize } from '../../lab/hosts/ssh/connection.ts';
import {
  environmentOf,
  type HostKey,
  makeKey,
  makePerson,
  type Person,
  readHostKey,
  SSHD,
  sshdConfig,
} from './sshd.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CLI = join(ROOT, 'build', 'programs', 'cli.mjs');
const PORT = 2222;
/** Nobody's on any machine. */
const LAB_UID = 54_321;
const ADDRESS = { host: '127.0.0.1', port: PORT };
/** What set-up builds, copied. */
const BUILT = ['kernel.node', 'batch-tap.so', 'programs'];
/** What set-up fetches; mounted, since it is large. */
const FETCHED = ['envoy', 'node'];
/** Later than every source that is unpacked: set-up has been there before. */
const LATER = new Date('2100-01-01');

export interface BareMachineOptions {
  /** Lines of sshd_config before ours, which win. */
  readonly sshd?: readonly string[];
}

/**
 * A machine with a real sshd and nothing of ours but what an earlier set-up leaves: namespaces of
 * its own (network with loopback alone, processes, mounts), two users with a home each, root and
 * `lab`, who may use sudo. Nothing of this machine changes, and all of it ends with its disposal.
 */
export class BareMachine implements AsyncDisposable {
  readonly folder: string;
  readonly hostKey: HostKey;
  readonly #child: ChildProcess;
  #people = 0;

  private constructor(folder: string, child: ChildProcess, hostKey: HostKey) {
    this.folder = folder;
    this.#child = child;
    this.hostKey = hostKey;
  }

  static async start(options: BareMachineOptions = {}): Promise<BareMachine> {
    const folder = mkdtempSync(join(tmpdir(), 'bare-machine-'));
    chmodSync(folder, 0o755);
    const hostKey = await prepare(folder, options);
    const namespaces = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
    // However a test ends, the machine ends with it.
    const argv = ['--pdeathsig', 'KILL', 'unshare', ...namespaces, 'bash', join(folder, 'init.sh')];
    const child = spawn('setpriv', argv, {
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    const machine = new BareMachine(folder, child, hostKey);
    await machine.#listens();
    return machine;
  }

  /** `user@host:port`, as `--on` takes it. */
  at(user: string): string {
    return `${user}@127.0.0.1:${PORT}`;
  }

  /** Somebody here who knows that host and may log in there; either can be taken back. */
  person(): Person {
    const home = join(this.folder, `person${(this.#people += 1)}`);
    return makePerson(home, join(this.folder, 'user_key'), this.hostKey);
  }

  /** Runs our command line as somebody who can reach nothing but that machine. */
  command(person: Person, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return runProgram(['nsenter', ...this.#enter(), ...this.#argv(args)], {
      timeoutMs: 120_000,
      ...options,
      env: { ...environmentOf(person), ...options.env },
    });
  }

  /** `npm run lab` on a laptop that is no Linux and has no addon. */
  laptop(person: Person, args: readonly string[]): Promise<Finished> {
    const darwin = 'Object.defineProperty(process, "platform", { value: "darwin" })';
    const node = [process.execPath, `--import=data:text/javascript,${encodeURIComponent(darwin)}`];
    const bootstrap = [join(ROOT, 'scripts', 'bootstrap.mjs'), 'lab', ...args];
    return runProgram(['nsenter', ...this.#enter(), ...node, ...bootstrap], {
      timeoutMs: 120_000,
      env: { ...environmentOf(person), AMBIENT_KERNEL_ADDON: '/nowhere' },
    });
  }

  /** The same on a terminal of that size, which is both outputs. */
  commandOnTerminal(
    person: Person,
    args: readonly string[],
    { rows, columns }: TerminalSize,
  ): Promise<Finished> {
    const words = ['nsenter', ...this.#enter(), ...this.#argv(args)].map(quote).join(' ');
    const line = `stty rows ${rows} cols ${columns}; exec ${words}`;
    return runProgram(['script', '-qec', line, '/dev/null'], {
      timeoutMs: 120_000,
      env: { ...environmentOf(person), SHELL: '/bin/sh' },
    });
  }

  /** The same, left running. */
  start(person: Person, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn('nsenter', [...this.#enter(), ...this.#argv(args)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environmentOf(person), ...env },
    });
  }

  /** Runs a program in the network of that machine, as its root. */
  inside(argv: readonly string[]): string {
    const target = ['--target', String(this.#child.pid), '--net', '--mount'];
    return execFileSync('nsenter', [...target, ...argv], { encoding: 'utf8' });
  }

  /** Command lines of all that runs there beside the one sshd that listens. */
  processes(): readonly string[] {
    const proc = `/proc/${this.#child.pid}/root/proc`;
    const pids = readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== '1');
    const lines = pids.map((pid) => readText(join(proc, pid, 'cmdline')));
    return lines
      .map((line) => line.replaceAll('\0', ' ').trim())
      .filter((line) => line !== '' && !line.includes('[listener]'));
  }

  /** What is in the home of root over there. */
  get remoteHome(): string {
    return join(this.folder, 'homes', 'root');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  #enter(): readonly string[] {
    return ['--target', String(this.#child.pid), '--net', '--'];
  }

  #argv(args: readonly string[]): readonly string[] {
    return [process.execPath, CLI, ...args];
  }

  async #listens(): Promise<void> {
    let said = '';
    for await (const part of this.#child.stderr ?? []) {
      said += String(part);
      if (said.includes('Server listening')) {
        this.#child.stderr?.resume();
        return;
      }
    }
    throw new Error(`sshd does not listen: ${said}`);
  }
}

async function prepare(folder: string, { sshd = [] }: BareMachineOptions): Promise<HostKey> {
  for (const name of ['host_key', 'user_key', 'other_key']) makeKey(join(folder, name));
  const files = { hostKey: `${folder}/host_key`, authorizedKeys: `${folder}/authorized_keys` };
  copyFileSync(join(folder, 'user_key.pub'), join(folder, 'authorized_keys'));
  writeFileSync(join(folder, 'sshd_config'), [...sshd, ...sshdConfig(ADDRESS, files)].join('\n'));
  const { id } = await collectProject(ROOT);
  for (const user of ['root', 'lab']) setUpBefore(join(folder, 'homes', user), id);
  execFileSync('chown', ['-R', `${LAB_UID}:${LAB_UID}`, join(folder, 'homes', 'lab')]);
  writeFileSync(join(folder, 'init.sh'), initScript(folder, id));
  return readHostKey(join(folder, 'host_key'), `[127.0.0.1]:${PORT}`);
}

/** What an earlier `--on` has left, but for the project: modules are mounted, programs are copied. */
function setUpBefore(home: string, id: string): void {
  const project = join(home, '.cache', 'ambient-lab', id, 'project');
  mkdirSync(join(project, 'node_modules'), { recursive: true });
  const build = join(project, 'build');
  mkdirSync(build);
  for (const name of BUILT)
    cpSync(join(ROOT, 'build', name), join(build, name), { recursive: true });
  for (const name of FETCHED) mkdirSync(join(build, name));
  for (const product of ['kernel.node', 'programs/.stamp'])
    utimesSync(join(build, product), LATER, LATER);
}

function initScript(folder: string, id: string): string {
  const projects = ['root', 'lab'].map(
    (user) => `${folder}/homes/${user}/.cache/ambient-lab/${id}/project`,
  );
  return `
set -e
mount -t tmpfs tmpfs /run
mkdir /run/sshd
ip link set lo up
sed 's|^root:.*|root:x:0:0::${folder}/homes/root:/bin/bash|' /etc/passwd > ${folder}/passwd
echo 'lab:x:${LAB_UID}:${LAB_UID}::${folder}/homes/lab:/bin/sh' >> ${folder}/passwd
cut -d: -f1 ${folder}/passwd | sed 's/$/:*:19000:0:99999:7:::/' > ${folder}/shadow
mount --bind ${folder}/passwd /etc/passwd
mount --bind ${folder}/shadow /etc/shadow
if [ -d /etc/sudoers.d ]; then
  mount -t tmpfs -o mode=755 tmpfs /etc/sudoers.d
  echo 'lab ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab
fi
for project in ${projects.join(' ')}; do
  mount --bind ${ROOT}/node_modules $project/node_modules
  mount -o remount,ro,bind $project/node_modules
  for name in ${FETCHED.join(' ')}; do
    [ ! -d ${ROOT}/build/$name ] || mount --bind ${ROOT}/build/$name $project/build/$name
  done
done
trap '' TERM
# One that reaps: sshd must not be the first process, which gets every orphan.
${SSHD} -D -e -f ${folder}/sshd_config &
while :; do wait || true; sleep 0.2; done
`;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
