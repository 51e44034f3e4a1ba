import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { probeTunnels } from '../../dataplane/tunnels/probe.ts';
import { missingForUml, runInUml } from './uml.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CLI = join(ROOT, 'build', 'programs', 'cli.mjs');
const TIMEOUT_MS = 240_000;

/** Why an era cannot be run on both kernels here; undefined when it can. */
export async function missingForBoth(): Promise<string | undefined> {
  if (!existsSync(CLI)) return 'no bundled programs: npm run build';
  const fallBack = (await probeTunnels(['vxlan-ebpf', 'vxlan-nft'])).find(({ works }) => works);
  return missingForUml() ?? (fallBack === undefined ? 'no stand-in for geneve here' : undefined);
}

/**
 * Runs a topology in era geneve twice: in user-mode Linux, where the tunnels are the kernel's geneve
 * devices, and on this machine. Both hold, and the facts of the two, places, legs, interfaces, TTLs
 * and marks, are the same text.
 */
export async function compareEra(t: Test, topology: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'uml-era-'));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  const lab = `t${process.pid}-uml`;
  const args = ['run', join(ROOT, 'topologies', topology), '--era', 'geneve', '--json'];
  const argv = [CLI, ...args, '--lab', lab, '--results'];
  using inside = await runInUml(
    `export AMBIENT_LAB_ROOT=${ROOT}; exec node ${argv.join(' ')} /tmp/run/results`,
    { timeoutMs: TIMEOUT_MS },
  );
  t.equal(inside.exitCode, 0, 'every scenario holds with the geneve device');
  if (inside.exitCode !== 0) t.comment(inside.console + inside.stdout + inside.stderr);
  const outside = join(scratch, 'outside');
  await runHere([...argv, outside]);
  const real = readRun(join(inside.path('results'), 'latest'));
  const ours = readRun(join(outside, 'latest'));
  t.match(real.verdict, { outcome: 'holds', tunnels: 'geneve' });
  t.match(ours.verdict, { outcome: 'holds' });
  t.ok(real.facts.split('\n').length > 20, 'there are facts to compare');
  t.equal(ours.facts, real.facts, 'and they are the same in both kernels');
}

async function runHere(argv: readonly string[]): Promise<void> {
  const env = { ...process.env, AMBIENT_LAB_ROOT: ROOT };
  await promisify(execFile)(process.execPath, [...argv], {
    env,
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 28,
  });
}

function readRun(directory: string): { readonly verdict: unknown; readonly facts: string } {
  return {
    verdict: JSON.parse(readFileSync(join(directory, 'verdict.json'), 'utf8')) as unknown,
    facts: readFileSync(join(directory, 'facts.txt'), 'utf8'),
  };
}
