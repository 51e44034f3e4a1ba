import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { withNetns } from '../../dataplane/kernel/netns.ts';
import { collectProject } from '../../lab/hosts/remote/project.ts';
import { type Finished, runProgram } from '../../lab/hosts/run.ts';
import {
  environmentOf,
  makeKey,
  makePerson,
  type Person,
  readHostKey,
  SSHD,
  sshdConfig,
} from './sshd.ts';
import { tapNetns } from './tap-netns.ts';
import { runInUml, type UmlRun } from './uml.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CLI = join(ROOT, 'build', 'programs', 'cli.mjs');
const HOST = '10.9.0.1';
const TIMEOUT_MS = 200_000;

/** A machine with a kernel of its own, an sshd, and what an earlier set-up leaves. */
export interface UmlMachine {
  /** Who goes there. */
  readonly person: Person;
  /** Runs our command line with `--on` that machine. */
  on(args: readonly string[]): Promise<Finished>;
  /** Halts it; what it said, for a person who wonders. */
  halt(): Promise<UmlRun>;
}

/** Boots user-mode Linux with an sshd that is reached through a tap in a netns of the test. */
export async function bootUmlMachine(t: Test): Promise<UmlMachine> {
  const folder = mkdtempSync(join(tmpdir(), 'uml-machine-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['host_key', 'user_key']) makeKey(join(folder, name));
  const netns = tapNetns(t);
  // The kernel at the other end takes no frames longer than its MTU.
  withNetns(netns, () => execFileSync('ip', ['link', 'set', 'tap0', 'gso_max_segs', '1']));
  const { id } = await collectProject(ROOT);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const run = runInUml(bootScript(folder, id), {
    timeoutMs: TIMEOUT_MS,
    memoryMb: 1024,
    tap: { netns, name: 'tap0' },
    signal: stop.signal,
  });
  const hostKey = readHostKey(join(folder, 'host_key'), HOST);
  const person = makePerson(join(folder, 'person'), join(folder, 'user_key'), hostKey);
  const enter = ['nsenter', `--net=/proc/${process.pid}/fd/${netns}`, '--'] as const;
  const inside = (argv: readonly string[]) =>
    runProgram([...enter, ...argv], { timeoutMs: TIMEOUT_MS, env: environmentOf(person) });
  const isUp = `for i in $(seq 600); do (echo > /dev/tcp/${HOST}/22) 2>/dev/null && exit; sleep 0.1; done; exit 1`;
  await Promise.race([inside(['bash', '-c', isUp]), run]);
  return {
    person,
    on: (args) => inside([process.execPath, CLI, '--on', `root@${HOST}`, ...args]),
    halt: () => {
      stop.abort();
      return run;
    },
  };
}

/** Modules and fetched programs are this machine's, linked; programs are copied, and look new. */
function bootScript(folder: string, id: string): string {
  const project = `/tmp/home/.cache/ambient-lab/${id}/project`;
  const files = { hostKey: '/tmp/host_key', authorizedKeys: '/tmp/authorized_keys' };
  const config = sshdConfig({ host: HOST, port: 22 }, files).join('\n');
  const write = (name: string, text: string) => `cat > ${name} <<'END'\n${text}\nEND\n`;
  return `
set -e
ip link set vec0 name eth0
ip addr add ${HOST}/24 dev eth0
ip link set eth0 up
mkdir -p /run/sshd ${project}/build
${write(files.hostKey, readFileSync(join(folder, 'host_key'), 'utf8'))}
${write(files.authorizedKeys, readFileSync(join(folder, 'user_key.pub'), 'utf8'))}
${write('/tmp/sshd_config', `SetEnv PATH=/tmp/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n${config}`)}
chmod 600 ${files.hostKey}
sed 's|^root:.*|root:x:0:0::/tmp/home:/bin/bash|' /etc/passwd > /tmp/passwd
mount --bind /tmp/passwd /etc/passwd
ln -s ${ROOT}/node_modules ${project}/node_modules
for name in envoy node; do
  [ ! -d ${ROOT}/build/$name ] || ln -s ${ROOT}/build/$name ${project}/build/$name
done
cp -r ${ROOT}/build/kernel.node ${ROOT}/build/batch-tap.so ${project}/build/
cp -r ${ROOT}/build/programs ${project}/build/
touch -d 2037-01-01 ${project}/build/kernel.node ${project}/build/programs/.stamp
exec ${SSHD} -D -e -f /tmp/sshd_config
`;
}
