import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { SshError } from '../ssh/errors.ts';
import type { Connection, RemoteProcess, Terminal } from '../ssh/connection.ts';
import { encodeOrder, SENT, type Order } from './orders.ts';
import type { SentProject } from './project.ts';
import { writeTar } from './tar.ts';

/** A machine that has what is needed to run a verb: our program, Node, and the right to be root. */
export interface Host {
  readonly connection: Connection;
  /** Of this clone, over there. */
  readonly folder: string;
  /** Whether the project over there is this one, to the byte. */
  readonly hasProject: boolean;
  start(order: Order, terminal?: Terminal): Promise<RemoteProcess>;
  /** The command line that carries an order out over there, as root. */
  command(order: Order): string;
}

const OLDEST_NODE = [20, 19] as const;

/**
 * Looks at a machine and brings it the program that does the rest there.
 *
 * @throws SshError LAB_CANNOT_RUN for what it lacks, and how to get it
 */
export async function prepareHost(
  connection: Connection,
  project: SentProject,
  farEnd: string,
): Promise<Host> {
  const program = readFileSync(farEnd);
  const name = `far-end-${createHash('sha256').update(program).digest('hex').slice(0, 16)}.mjs`;
  const found = await probe(connection, project.id, name);
  refuseLack(found);
  const cache = found['cache'] ?? '';
  if (found['program'] !== 'yes') await sendProgram(connection, cache, name, program);
  const folder = `${cache}/${project.id}`;
  const sudo = found['uid'] === '0' ? [] : ['sudo', '-n'];
  const command = (order: Order): string =>
    [...sudo, found['node'] ?? 'node', `${cache}/${name}`, encodeOrder(order)].map(quote).join(' ');
  return {
    connection,
    folder,
    hasProject: found['sent'] === project.digest,
    command: (order) => `exec ${command(order)}`,
    start: (order, terminal) => connection.start(`exec ${command(order)}`, terminal),
  };
}

/**
 * Sends what git tracks, when it is not there to the byte.
 *
 * @throws SshError LAB_CANNOT_RUN
 */
export async function sendProject(host: Host, project: SentProject): Promise<void> {
  const order = { kind: 'unpack', folder: host.folder, digest: project.digest } as const;
  const archive = Readable.from(writeTar(project.files)).pipe(createGzip());
  const { exitCode, stderr } = await host.connection.run(host.command(order), archive);
  if (exitCode === 0) return;
  throw new SshError(
    'LAB_CANNOT_RUN',
    `Cannot send the project: ${stderr.trim() || `exit code ${exitCode ?? 'none'}`}, it was to be unpacked in ${host.folder}`,
  );
}

/** @throws SshError LAB_SSH_LOST as soon as the connection has died */
export function orLost<T>(host: Host, awaited: Promise<T>): Promise<T> {
  const { lost } = host.connection;
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(lost.reason as Error);
    if (lost.aborted) return fail();
    lost.addEventListener('abort', fail, { once: true });
    awaited.then(resolve, reject);
  });
}

/** A word of a command line, for every shell. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What a machine says of itself, in lines `name=value`. */
async function probe(
  connection: Connection,
  id: string,
  program: string,
): Promise<Readonly<Record<string, string>>> {
  const { stdout, stderr, exitCode } = await connection.run('exec sh', probeScript(id, program));
  const lines = stdout.toString().split('\n');
  const found = Object.fromEntries(
    lines.flatMap((line) => {
      const [, name = '', value = ''] = /^lab-([a-z]+)=(.*)$/.exec(line) ?? [];
      return name === '' ? [] : [[name, value]];
    }),
  ) as Record<string, string>;
  if (found['end'] === 'yes') return found;
  throw new SshError(
    'LAB_CANNOT_RUN',
    `Cannot look at that machine: its shell answers ${JSON.stringify(stderr.trim())} and ends with ${exitCode ?? 'a signal'}, a POSIX shell was wished`,
  );
}

/** Sessions that are no logins often lack the folders of Node and of the system's programs. */
function probeScript(id: string, program: string): string {
  return `
PATH="$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin"
cache="\${XDG_CACHE_HOME:-$HOME/.cache}/ambient-lab"
echo "lab-system=$(uname -s)"
echo "lab-uid=$(id -u)"
echo "lab-user=$(id -un)"
echo "lab-cache=$cache"
node=$(command -v node)
echo "lab-node=$node"
[ -z "$node" ] || echo "lab-version=$("$node" --version)"
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null; then echo "lab-sudo=$(sudo -n true 2>&1 && echo yes)"
  else echo "lab-sudo=missing"; fi
fi
[ ! -f "$cache/${program}" ] || echo "lab-program=yes"
[ ! -f "$cache/${id}/${SENT}" ] || echo "lab-sent=$(cat "$cache/${id}/${SENT}")"
echo "lab-end=yes"
`;
}

function refuseLack(found: Readonly<Record<string, string>>): void {
  const { system = 'unknown', uid, user = 'the user', sudo, node, version = '' } = found;
  if (system !== 'Linux') {
    throw lacks(`that machine runs ${system}, Linux was wished: labs are made of its namespaces`);
  }
  if (uid !== '0' && sudo === 'missing') {
    throw lacks(
      `${user} is not root over there, and there is no sudo; root or sudo was wished`,
      'Go there as root (--on root@host), or install sudo and let that user use it without a password.',
    );
  }
  if (uid !== '0' && sudo !== 'yes') {
    throw lacks(
      `sudo over there says "${sudo ?? ''}", sudo without a password was wished for ${user}`,
      `Over there, as root: echo '${user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ambient-lab`,
    );
  }
  if (!node) throw lacks('there is no Node over there, 20.19 or newer was wished', HOW_TO_GET_NODE);
  const [major = 0, minor = 0] = version.replace('v', '').split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw lacks(`Node over there is ${version}, 20.19 or newer was wished`, HOW_TO_GET_NODE);
  }
}

const HOW_TO_GET_NODE =
  'On Debian 13 and Ubuntu 25.04: apt-get install nodejs npm; before: https://deb.nodesource.com, as in our Vagrantfile.';

function lacks(seenAndWished: string, hint?: string): SshError {
  return new SshError('LAB_CANNOT_RUN', `Cannot run there: ${seenAndWished}`, { hint });
}

/** Under another name first: one who looks meanwhile finds it whole or not at all. */
async function sendProgram(
  connection: Connection,
  cache: string,
  name: string,
  program: Buffer,
): Promise<void> {
  const script =
    'mkdir -p "$1" && find "$1" -maxdepth 1 -name "far-end-*.mjs" -mtime +7 -exec rm -f {} + && ' +
    'cat > "$1/$2.$$" && mv "$1/$2.$$" "$1/$2"';
  const words = ['sh', '-c', script, 'sh', cache, name].map(quote);
  const { exitCode, stderr } = await connection.run(`exec ${words.join(' ')}`, program);
  if (exitCode !== 0) throw lacks(`${stderr.trim()}, a folder to write to was wished: ${cache}`);
}
