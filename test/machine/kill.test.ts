import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { connectLab } from '../../lab/world/client.ts';
import { runProgram } from '../../lab/hosts/run.ts';
import { command } from '../e2e/support/command.ts';
import { diffHostState, readHostState } from '../e2e/support/host-state.ts';
import { killDuringRun, type Phase, startRun, untilPhase } from '../e2e/support/kill-run.ts';
import { scratchDirectory } from '../e2e/support/lab.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PROGRAMS = process.env['AMBIENT_LAB_PROGRAMS'] ?? join(ROOT, 'build', 'programs');
const CLI = join(PROGRAMS, 'cli.mjs');
const TWO_NODES = join(ROOT, 'topologies', 'two-nodes.yaml');
const on = ['--lab', `kill${process.pid}`];

/** Near enough: `test/long/kill.test.ts` measures them. */
const LENGTHS: Readonly<Record<Phase, number>> = {
  build: 400,
  scenarios: 300,
  analysis: 100,
  teardown: 50,
};

t.setTimeout(150_000);

t.test('kill -9 of supervisor, client and ztunnel during run leaves nothing', async (t) => {
  await using scratch = await scratchDirectory();
  const before = readHostState();
  let hits = 0;
  for (const victim of ['supervisor', 'client', 'ztunnel'] as const) {
    for (const phase of ['build', 'scenarios'] as const) {
      // The first half of a phase: a fast machine may be done with it in the second.
      const moment = { phase, share: Math.random() / 2 };
      if (await killDuringRun(t, victim, moment, LENGTHS, scratch.path)) hits++;
    }
  }
  t.ok(hits >= 4, `${hits} of 6 victims were there to be killed`);
  t.match(await command(['gc']), { exitCode: 0, stdout: '', stderr: '' }, 'gc is quiet');
  t.same(diffHostState(before, readHostState()), [], 'the machine is as before');
});

t.test('SIGINT and SIGTERM end a run in order', async (t) => {
  await using scratch = await scratchDirectory();
  for (const [signal, phase, code] of [
    ['SIGINT', 'build', 130],
    ['SIGTERM', 'scenarios', 143],
  ] as const) {
    const run = startRun(`s${process.pid}-${phase}`, scratch.path);
    await untilPhase(run, phase);
    await untilSaid(run.stderr, 'Network namespaces');
    run.process.kill(signal);
    // npm passes on a Ctrl-C that the terminal has sent already.
    run.process.kill(signal);
    t.same(await run.exited, [code, null], `${signal} while it is at ${phase}`);
    t.match(run.stderr(), new RegExp(`Interrupted by ${signal}\\s*$`));
    t.notOk(existsSync(join('/run/ambient-lab', run.lab)), 'nothing is left of the lab');
    const directories = readdirSync(run.results).map((name) => join(run.results, name));
    t.ok(
      directories.every((path) => existsSync(join(path, 'INCOMPLETE'))),
      'results that were begun are marked as incomplete, and not the latest',
    );
  }
});

t.test('up, kill -9, status, up again, down twice', async (t) => {
  t.equal((await command(['up', TWO_NODES, ...on])).exitCode, 0);
  t.teardown(() => command(['down', ...on]));
  await killSupervisor();
  const dead = await command(['status', ...on]);
  t.equal(dead.exitCode, 2);
  t.match(dead.stderr, /it was killed[^]*"down" or "gc"[^]*"up"/);
  const again = await command(['up', TWO_NODES, ...on]);
  t.equal(again.exitCode, 0, 'no gc is needed in between');
  t.match(again.stderr, /replaces a dead lab/);

  await t.test('many programs at once, each with its own exit code', async (t) => {
    const exec = (...argv: string[]) => command(['exec', ...on, 'sleep', '--', ...argv]);
    const codes = await Promise.all(
      Array.from({ length: 8 }, (_, i) => exec('sh', '-c', `exit ${i}`)),
    );
    t.same(
      codes.map(({ exitCode }) => exitCode),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
  });

  await t.test('a capture ends with its lab, a second one is refused', async (t) => {
    await using scratch = await scratchDirectory();
    const results = ['--results', scratch.path];
    const long = command(['exec', ...on, 'sleep', '--', 'sleep', '100']);
    const capture = start(['capture', ...on, ...results, '--json']);
    await untilSaid(capture.stderr, 'Recording');
    const second = await command(['capture', ...on, ...results]);
    t.match(second, { exitCode: 2, stderr: /one is being written/ });
    t.match(await command(['down', ...on]), { exitCode: 0 });
    t.equal(await capture.exitCode, 0, capture.stderr());
    t.match(JSON.parse(capture.stdout()), { interfaces: Array });
    t.equal((await long).exitCode, 137, 'what ran in it was killed with it');
    t.same(readdirSync(scratch.path).length, 2, 'the refused one left no directory');
  });
  t.equal((await command(['down', ...on])).exitCode, 2, 'a second down finds nothing');
});

t.test('a full disk ends a run with its reason, and removes the lab', async (t) => {
  await using scratch = await scratchDirectory();
  const lab = `full${process.pid}`;
  const script = `mount -t tmpfs -o size=64k none "$0" && exec "$@" --results "$0"`;
  const run = [process.execPath, CLI, 'run', TWO_NODES, '--lab', lab];
  const argv = ['unshare', '-m', 'sh', '-c', script, scratch.path, ...run] as const;
  const done = await runProgram(argv, { timeoutMs: 60_000 });
  t.equal(done.exitCode, 3);
  t.match(done.stderr, /Cannot write results to .*ENOSPC/);
  t.notMatch(done.stderr, /\n\s+at /);
  t.notOk(existsSync(join('/run/ambient-lab', lab)));
  for (const place of ['/proc/nowhere', '/run/nowhere', TWO_NODES]) {
    const { exitCode, stderr } = await command(['run', TWO_NODES, '--results', place]);
    t.equal(exitCode, 2, `results in ${place}`);
    t.match(stderr, /^Cannot write results to/, 'nothing was built for them');
    t.notOk(existsSync('/run/nowhere'));
  }
});

async function killSupervisor(): Promise<void> {
  await using lab = await connectLab(on[1] ?? '');
  process.kill(lab.supervisorPid, 'SIGKILL');
}

interface Started {
  readonly process: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly exitCode: Promise<number | null>;
}

function start(args: readonly string[]): Started {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exitCode = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { process: child, stdout: () => stdout, stderr: () => stderr, exitCode };
}

async function untilSaid(text: () => string, word: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!text().includes(word) && performance.now() < deadline) await sleep(5);
}
