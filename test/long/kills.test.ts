import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { gc, listLabs } from '../../lab/world/client.ts';
import { diffHostState, namespaceOf, readHostState } from '../e2e/support/host-state.ts';
import { eventually } from '../e2e/support/lab.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CLI = join(ROOT, 'build', 'programs', 'cli.mjs');
const TOPOLOGY = join(ROOT, 'topologies', 'two-nodes.yaml');
const MOMENTS = 20;
/** A run that nobody disturbs takes less; the moments are spread over it. */
const RUN_MS = 4_000;
const RUN_TIMEOUT_MS = 60_000;

type Victim = 'supervisor' | 'client' | 'ztunnel';

t.setTimeout(30 * 60_000);
const results = mkdtempSync(join(tmpdir(), 'ambient-lab-kills-'));
t.teardown(() => rmSync(results, { recursive: true, force: true }));

for (const victim of ['supervisor', 'client', 'ztunnel'] as const) {
  t.test(`kill -9 of the ${victim} at ${MOMENTS} moments of a run leaves nothing`, async (t) => {
    t.setTimeout(10 * 60_000);
    const before = readHostState();
    let hits = 0;
    for (let moment = 0; moment < MOMENTS; moment++) {
      const afterMs = Math.round((RUN_MS * (moment + Math.random())) / MOMENTS);
      if (await killDuringRun(t, victim, afterMs)) hits++;
    }
    t.ok(hits >= MOMENTS / 4, `${hits} of ${MOMENTS} kills met a living ${victim}`);
    gc();
    t.same(gc(), [], 'the second gc has nothing to do');
    t.same(diffHostState(before, readHostState()), [], 'the machine is as before');
  });
}

/** One run with one kill; true when the victim was there to be killed. */
async function killDuringRun(t: Test, victim: Victim, afterMs: number): Promise<boolean> {
  const lab = `k${process.pid}-${victim[0]}${afterMs}`;
  const args = [CLI, 'run', TOPOLOGY, '--lab', lab, '--results', results];
  const run = spawn(process.execPath, args, { cwd: ROOT, stdio: 'ignore' });
  const exited = once(run, 'exit', { signal: AbortSignal.timeout(RUN_TIMEOUT_MS) });
  await sleep(afterMs);
  const pids = victimsOf(victim, lab, run);
  for (const pid of pids) kill(pid);
  const what = `${victim} killed after ${afterMs} ms`;
  const end = await exited.catch(() => undefined);
  if (!t.ok(end, `${what}: the run ends, with ${end?.join(' ')}`)) run.kill('SIGKILL');
  const rest = await eventually(
    async () => processesOf(lab),
    ({ length }) => length === 0,
    2_000,
  );
  t.same(rest, [], `${what}: no process is left`);
  // A process that ends has no command line any more when it lets go of its files.
  const isListed = async () => {
    gc();
    return listLabs().some(({ name }) => name === lab);
  };
  t.notOk(await eventually(isListed, (listed) => !listed), `${what}: gc removes what is left`);
  return pids.length > 0;
}

function victimsOf(victim: Victim, lab: string, run: ChildProcess): number[] {
  if (victim === 'client') return run.exitCode === null && run.pid !== undefined ? [run.pid] : [];
  const supervisors = pids().filter((pid) => commOf(pid) === 'ambient-lab' && isOf(pid, lab));
  if (victim === 'supervisor') return supervisors;
  const spaces = new Set(supervisors.map((pid) => namespaceOf(pid, 'pid')));
  const inside = pids().filter((pid) => spaces.has(namespaceOf(pid, 'pid')));
  return inside.filter((pid) => textOf(pid, 'cmdline').includes('ztunnel.mjs')).slice(0, 1);
}

/** Command lines that name the lab, whoever runs them, and all that lives beside such a one. */
function processesOf(lab: string): string[] {
  const own = namespaceOf(process.pid, 'pid');
  const named = pids().filter((pid) => isOf(pid, lab));
  const spaces = new Set(named.map((pid) => namespaceOf(pid, 'pid')).filter((one) => one !== own));
  const inside = pids().filter((pid) => spaces.has(namespaceOf(pid, 'pid')));
  return [...new Set([...named, ...inside])].map((pid) => textOf(pid, 'cmdline'));
}

function isOf(pid: number, lab: string): boolean {
  return textOf(pid, 'cmdline').split(' ').includes(lab);
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function commOf(pid: number): string {
  return textOf(pid, 'comm').trim();
}

function textOf(pid: number, file: 'cmdline' | 'comm'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
}
