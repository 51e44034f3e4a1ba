import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { BareMachine } from '../support/bare-machine.ts';
import { missingForSshd, type Person } from '../support/sshd.ts';
import { command } from './support/command.ts';
import { eventually } from './support/lab.ts';

t.setTimeout(280_000);

const lacking = missingForSshd();
const options = lacking === undefined ? {} : { skip: lacking };
const WAIT_MS = 60_000;
const CAPTURES = 'test/fixtures/captures';
const TOPOLOGY = 'topologies/same-node.yaml';
/** What a lab that is up consists of: programs of the supervisor, and those of pods. */
const UP = /programs\/(supervisor|agent|ztunnel|app-host|recorder)\.mjs|^unshare/;

t.test('a bare machine over SSH', options, async (t) => {
  const machine = await BareMachine.start();
  t.teardown(() => machine[Symbol.asyncDispose]());
  const root = machine.at('root');

  await t.test(
    '--on refuses a host key that nobody knows, and says how to make it known',
    async (t) => {
      const person = machine.person();
      writeFileSync(person.knownHosts, 'elsewhere ssh-ed25519 garbage\n');
      const refused = await machine.command(person, ['--on', root, '--version']);
      t.equal(refused.exitCode, 3);
      t.equal(refused.stdout, '');
      t.ok(
        refused.stderr.includes(machine.hostKey.fingerprint),
        'with the fingerprint of ssh-keygen',
      );
      t.match(refused.stderr, /known_hosts:1:23: the key says/, 'and with the line that is none');
      t.notOk(
        existsSync(join(machine.remoteHome, '.cache/ambient-lab', 'far-end')),
        'nothing was sent',
      );
      const [, line = ''] = /echo '([^']*)' >>/.exec(refused.stderr) ?? [];
      appendFileSync(person.knownHosts, `${line}\n`);
      const known = await machine.command(person, ['--on', root, '--version']);
      t.equal(known.exitCode, 0, 'the line that it names is enough');
      t.equal(known.stdout, '0.1.0');
    },
  );

  await t.test('--on knows hashed names, and refuses a key that has changed', async (t) => {
    const person = machine.person();
    execFileSync('ssh-keygen', ['-q', '-H', '-f', person.knownHosts], { stdio: 'ignore' });
    t.match(readFileSync(person.knownHosts, 'utf8'), /^\|1\|/, 'the name is hashed');
    const known = await machine.command(person, ['--on', root, '--version']);
    t.equal(known.exitCode, 0);
    t.notMatch(known.stderr, /Sending the project/, 'which is there by now');
    const other = readFileSync(join(machine.folder, 'other_key.pub'), 'utf8');
    writeFileSync(person.knownHosts, `[127.0.0.1]:2222 ${other}`);
    const refused = await machine.command(person, ['--on', root, '--version']);
    t.equal(refused.exitCode, 3);
    t.match(refused.stderr, /^HOST KEY CHANGED/m);
    t.ok(refused.stderr.includes(machine.hostKey.fingerprint), 'what it shows');
    t.match(
      refused.stderr,
      /known is SHA256:\S+ \(\S+known_hosts:1:1\)/,
      'what was known, and where',
    );
  });

  await t.test('--on without a key of the host is exit code 3', async (t) => {
    const person = machine.person();
    const key = join(machine.folder, 'other_key');
    rmSync(join(person.home, '.ssh', 'id_ed25519'));
    const refused = await machine.command(person, ['--on', root, '--identity', key, '--version']);
    t.equal(refused.exitCode, 3);
    t.match(refused.stderr, /Cannot log in to "127\.0\.0\.1" as root: .*other_key/);
    const good = join(machine.folder, 'user_key');
    const known = await machine.command(person, ['--on', root, '--identity', good, '--version']);
    t.equal(known.exitCode, 0, 'with the right one it logs in');
  });

  await t.test('npm run lab -- --on needs no Linux here, and no addon', async (t) => {
    const person = machine.person();
    const done = await machine.laptop(person, ['--on', root, '--version']);
    t.equal(done.exitCode, 0, done.stderr);
    t.equal(done.stdout, '0.1.0');
    const refused = await machine.laptop(person, ['--version']);
    t.equal(refused.exitCode, 3, 'by itself it can run none');
    t.match(refused.stderr, /^Cannot run on darwin: .*\n.*vagrant up.*--on/);
  });

  await t.test('--on reads ~/.ssh/config and asks the agent', async (t) => {
    const person = machine.person();
    const config = join(person.home, '.ssh', 'config');
    const agent = await startAgent(t, join(person.home, '.ssh', 'id_ed25519'));
    rmSync(join(person.home, '.ssh', 'id_ed25519'));
    writeFileSync(config, 'Host bare\n  HostName 127.0.0.1\n  Port 2222\n  User root\n');
    const env = { SSH_AUTH_SOCK: agent };
    const done = await machine.command(person, ['--on', 'bare', '--version'], { env });
    t.equal(done.exitCode, 0, done.stderr);
    appendFileSync(config, 'Host other\n  Port many\n');
    const other = await machine.command(person, ['--on', 'other', '--version'], { env });
    t.equal(other.exitCode, 2);
    t.match(other.stderr, /config:6:8": "many" is no port/);
  });

  await t.test(
    'a verb over there says what it says here, and ends with its exit code',
    async (t) => {
      const person = machine.person();
      const on = (...args: readonly string[]) => machine.command(person, ['--on', root, ...args]);
      const plan = await on('plan', 'topologies/two-nodes.yaml', '--json');
      t.equal(plan.exitCode, 0);
      t.equal(plan.stdout, (await command(['plan', 'topologies/two-nodes.yaml', '--json'])).stdout);
      const facts = join(CAPTURES, 'denied.pcapng.facts.txt');
      const differs = await on(
        'regress',
        '--pcap',
        join(CAPTURES, 'refused.pcapng'),
        '--baseline',
        facts,
      );
      t.equal(differs.exitCode, 1);
      const absent = await on('plan', 'topologies/nothing.yaml');
      t.equal(absent.exitCode, 2);
      t.match(absent.stderr, /topologies\/nothing\.yaml.*no such file/);
      const untracked = await on('plan', join(machine.folder, 'sshd_config'));
      t.equal(untracked.exitCode, 2);
      t.match(untracked.stderr, /git does not track it/);
    },
  );

  await t.test('run --on brings its results back, and leaves nothing over there', async (t) => {
    const person = machine.person();
    const results = join(person.home, 'results');
    const args = ['run', TOPOLOGY, '--results', results, '--json'];
    const done = await machine.command(person, ['--on', root, ...args]);
    t.equal(done.exitCode, 0, done.stderr);
    t.match(JSON.parse(done.stdout), { outcome: 'holds' });
    const [run = '', ...others] = (await readdir(results)).filter((name) => name !== 'latest');
    t.same(others, []);
    const verdict = JSON.parse(
      await readFile(join(results, run, 'verdict.json'), 'utf8'),
    ) as object;
    t.match(verdict, { outcome: 'holds' });
    for (const name of ['index.html', 'story.pcapng', 'junit.xml'])
      t.ok(existsSync(join(results, 'latest', name)), name);
    t.same(await left(machine), []);
  });

  await t.test(
    'exec --on passes streams and exit codes; whatever cuts it leaves no process',
    async (t) => {
      const person = machine.person();
      const up = await machine.command(person, ['--on', root, 'up', TOPOLOGY]);
      t.equal(up.exitCode, 0, up.stderr);
      await execStreams(t, machine, person);
      await onTerminal(t, machine, person);
      const interrupted = await startSleep(t, machine, person);
      interrupted.kill('SIGINT');
      t.equal((await once(interrupted, 'exit'))[0], 130);
      t.same(await left(machine, UP), [], 'nothing but the lab is left after an interrupt');
      const cut = await startSleep(t, machine, person);
      cut.kill('SIGKILL');
      t.same(await left(machine, UP), [], 'nothing but the lab is left of a connection that died');
      const down = await machine.command(person, ['--on', root, 'down']);
      t.equal(down.exitCode, 0, down.stderr);
      t.same(await left(machine), []);
    },
  );
});

/** Standard input and both outputs by themselves, and any exit code. */
async function execStreams(t: Test, machine: BareMachine, person: Person): Promise<void> {
  const script = 'cat; echo fault >&2; exit 3';
  const args = ['--on', machine.at('root'), 'exec', 'sleep', '--', 'sh', '-c', script];
  const done = await machine.command(person, args, { input: 'through standard input' });
  t.equal(done.exitCode, 3);
  t.equal(done.stdout, 'through standard input');
  t.match(done.stderr, /^fault$/m);
}

async function onTerminal(t: Test, machine: BareMachine, person: Person): Promise<void> {
  const script = 'test -t 0 && test -t 1 && test -t 2 && stty size; exit 5';
  const args = ['--on', machine.at('root'), 'exec', 'sleep', '--', 'sh', '-c', script];
  const done = await machine.commandOnTerminal(person, args, { rows: 33, columns: 99 });
  t.equal(done.exitCode, 5, 'with the exit code of the program');
  t.match(done.stdout, /33 99\r$/m, 'a terminal of the size of ours');
}

/** A verb that would run for long, seen to run over there. */
async function startSleep(t: Test, machine: BareMachine, person: Person): Promise<ChildProcess> {
  const args = ['--on', machine.at('root'), 'exec', 'sleep', '--', 'sleep', '7654'];
  const child = machine.start(person, args);
  child.stdout?.resume();
  child.stderr?.resume();
  const isSleeping = (lines: readonly string[]) => lines.includes('sleep 7654');
  const running = await eventually(async () => machine.processes(), isSleeping, WAIT_MS);
  t.ok(isSleeping(running), 'it runs over there');
  return child;
}

/** What runs there once it has had time to end. */
function left(machine: BareMachine, aside = /^$/): Promise<readonly string[]> {
  const others = async () => machine.processes().filter((line) => !aside.test(line));
  return eventually(others, (lines) => lines.length === 0, WAIT_MS);
}

async function startAgent(t: Test, key: string): Promise<string> {
  const socket = join(dirname(key), 'agent.sock');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  t.teardown(() => agent.kill());
  await eventually(async () => existsSync(socket), Boolean, WAIT_MS);
  execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
  return socket;
}
