import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withNetns } from '../../dataplane/kernel/netns.ts';

const INIT = join(import.meta.dirname, 'uml-init.sh');
const PROJECT = join(import.meta.dirname, '../..');
const KERNEL = '/usr/bin/linux.uml';
const MODULES = '/usr/lib/uml/modules';

/** What a script inside left behind. */
export interface UmlRun extends Disposable {
  /** Undefined when the script did not come to its end. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** What the kernel said. */
  readonly console: string;
  /** Text of a file that the script put into /tmp/run. */
  readonly path: (name: string) => string;
}

export interface UmlOptions {
  readonly timeoutMs: number;
  readonly memoryMb?: number;
  /** A tap device, in the netns of that descriptor, that becomes `vec0` inside. */
  readonly tap?: { readonly netns: number; readonly name: string };
  /** Ends it before its time. */
  readonly signal?: AbortSignal;
}

/** Why no user-mode Linux can run here; undefined when one can. */
export function missingForUml(): string | undefined {
  const missing = [KERNEL, '/sbin/modprobe', '/usr/sbin/iptables-legacy'].filter(
    (path) => !existsSync(path),
  );
  if (missing.length > 0) {
    return `${missing.join(', ')} missing: apt-get install user-mode-linux kmod iptables`;
  }
  return readdirSync(MODULES).length > 0 ? undefined : `${MODULES} is empty`;
}

/**
 * Boots user-mode Linux on this machine's root, read-only, runs a bash script in it as its only
 * program, and halts. Nothing of the machine changes: what the script writes is in memory, or in
 * /tmp/run, which is the folder of this run and goes with the result's disposal.
 */
export async function runInUml(script: string, options: UmlOptions): Promise<UmlRun> {
  const folder = mkdtempSync(join(tmpdir(), 'uml-'));
  writeFileSync(join(folder, 'script.sh'), script);
  const init = join(folder, 'init');
  copyFileSync(INIT, init);
  chmodSync(init, 0o755);
  const args = [
    `umid=${folder.slice(-10)}`,
    `mem=${options.memoryMb ?? 512}M`,
    ...['rootfstype=hostfs', 'rootflags=/', 'ro', `init=${init}`, `run_folder=${folder}`],
    `project=${PROJECT}`,
    ...['con=null', 'con0=null,fd:1', 'con1=null', 'quiet'],
    ...(options.tap ? [`vec0:transport=tap,ifname=${options.tap.name}`] : []),
  ];
  const start = () =>
    spawn(KERNEL, args, {
      // Its socket and its pid file go there.
      env: { ...process.env, HOME: folder, TMPDIR: '/dev/shm' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
  const child = options.tap ? withNetns(options.tap.netns, start) : start();
  const said: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => said.push(part));
  child.stderr.on('data', (part: Buffer) => said.push(part));
  const end = (): void => endGroup(child.pid);
  const timer = setTimeout(end, options.timeoutMs);
  options.signal?.addEventListener('abort', end, { once: true });
  // A test that is ended leaves no kernel behind.
  process.once('exit', end);
  await once(child, 'close');
  process.off('exit', end);
  clearTimeout(timer);
  const text = (name: string): string => {
    const path = join(folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const code = text('exit-code').trim();
  return {
    exitCode: code === '' ? undefined : Number(code),
    stdout: text('stdout'),
    stderr: text('stderr'),
    console: Buffer.concat(said).toString(),
    path: (name) => join(folder, name),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** UML is a group of processes, one for each of its own. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
