import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../e2e/support/lab.ts';
import { BareMachine } from '../support/bare-machine.ts';
import { missingForSshd } from '../support/sshd.ts';
import { bootUmlMachine } from '../support/uml-machine.ts';
import { missingForUml } from '../support/uml.ts';

t.setTimeout(600_000);

const TOPOLOGY = 'topologies/same-node.yaml';
const SILENCE_MS = 15_000;
const WAIT_MS = 120_000;
const lackingSshd = missingForSshd();
const needsSshd = lackingSshd === undefined ? {} : { skip: lackingSshd };
const lackingUml = missingForUml() ?? lackingSshd;
const needsUml = lackingUml === undefined ? {} : { skip: lackingUml };

t.test('a connection that falls silent ends both halves', needsSshd, async (t) => {
  const machine = await BareMachine.start();
  t.teardown(() => machine[Symbol.asyncDispose]());
  const person = machine.person();
  const root = machine.at('root');
  const up = await machine.command(person, ['--on', root, 'up', TOPOLOGY]);
  t.equal(up.exitCode, 0, up.stderr);
  const env = { AMBIENT_LAB_SILENCE_MS: String(SILENCE_MS) };
  const child = machine.start(person, ['--on', root, 'exec', 'sleep', '--', 'sleep', '7655'], env);
  const said: string[] = [];
  child.stderr?.on('data', (part) => said.push(String(part)));
  const isSleeping = (lines: readonly string[]) => lines.includes('sleep 7655');
  t.ok(isSleeping(await eventually(async () => machine.processes(), isSleeping, WAIT_MS)));
  machine.inside(['ip', 'link', 'set', 'lo', 'down']);
  const [code] = (await once(child, 'exit')) as [number | null];
  t.equal(code, 3, 'here');
  t.match(said.join(''), /Lost the connection to "127\.0\.0\.1"/);
  const after = await eventually(
    async () => machine.processes(),
    (lines) => !isSleeping(lines),
    WAIT_MS,
  );
  t.notOk(isSleeping(after), 'over there, though no packet has told of it');
});

t.test(
  'run --on that is interrupted or cut while it builds leaves nothing',
  needsSshd,
  async (t) => {
    const machine = await BareMachine.start();
    t.teardown(() => machine[Symbol.asyncDispose]());
    const person = machine.person();
    const args = [
      '--on',
      machine.at('root'),
      'run',
      TOPOLOGY,
      '--results',
      join(person.home, 'results'),
    ];
    for (const name of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
      const child = machine.start(person, args);
      child.stdout?.resume();
      child.stderr?.resume();
      const isBuilding = (lines: readonly string[]) =>
        lines.some((line) => line.includes('ztunnel.mjs'));
      t.ok(
        isBuilding(await eventually(async () => machine.processes(), isBuilding, WAIT_MS)),
        name,
      );
      child.kill(name);
      const [code] = (await once(child, 'exit')) as [number | null];
      if (name !== 'SIGKILL') t.equal(code, name === 'SIGINT' ? 130 : 143);
      const left = await eventually(
        async () => machine.processes(),
        (lines) => lines.length === 0,
        WAIT_MS,
      );
      t.same(left, [], `nothing runs there after ${name}`);
    }
  },
);

t.test('a user who may use sudo runs labs, one who may not is told', needsSshd, async (t) => {
  const machine = await BareMachine.start();
  t.teardown(() => machine[Symbol.asyncDispose]());
  const person = machine.person();
  const on = (...args: readonly string[]) =>
    machine.command(person, ['--on', machine.at('lab'), ...args]);
  const results = join(person.home, 'results');
  const run = await on('run', TOPOLOGY, '--results', results, '--json');
  t.equal(run.exitCode, 0, run.stderr);
  t.ok((await readdir(results)).length > 0, 'results that root over there has written are here');
  machine.inside(['rm', '/etc/sudoers.d/lab']);
  const refused = await on('doctor');
  t.equal(refused.exitCode, 3);
  t.match(refused.stderr, /sudo without a password was wished for lab\n.*NOPASSWD/s);
});

t.test('run --on a machine with another kernel', needsUml, async (t) => {
  const machine = await bootUmlMachine(t);
  // Debian's user-mode kernel knows no conntrack zones, which the default era needs.
  const doctor = await machine.on(['doctor']);
  t.equal(doctor.exitCode, 3, 'what it says of the default era is our exit code');
  t.match(doctor.stdout, /conntrack zones is missing/);
  const results = join(machine.person.home, 'results');
  const args = ['run', TOPOLOGY, '--era', 'geneve', '--results', results, '--json'];
  const done = await machine.on(args);
  t.equal(done.exitCode, 0, done.stderr);
  const verdict = await readFile(join(results, 'latest', 'verdict.json'), 'utf8');
  t.match(JSON.parse(verdict), { outcome: 'holds' });
});
