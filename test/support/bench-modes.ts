import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { BenchRun } from '../../lab/bench/mesh/bench-run.ts';
import type { ModeName } from '../../lab/bench/mesh/modes.ts';
import type { Preset } from '../../lab/bench/mesh/presets.ts';
import { runBench } from '../../lab/bench/mesh/run-bench.ts';
import { summarise } from '../../lab/bench/mesh/summarise.ts';
import { listLabs } from '../../lab/world/client.ts';
import { programArgv } from '../../lab/world/programs.ts';

const PRESET: Preset = {
  name: 'test',
  title: 'a little of each',
  modes: ['none'],
  rounds: 2,
  cells: [
    { kind: 'open-loop', placement: 'other-node', connections: 4, rate: 500 },
    { kind: 'new-connections', placement: 'same-node', connections: 4 },
  ],
  windowMs: 200,
  budgetRequests: 40,
};

/** A benchmark of these modes, as short as can be, comes to what it must; no time is judged. */
export async function measuresModes(t: Test, modes: readonly ModeName[]): Promise<void> {
  await using scratch = await scratchDirectory();
  const labPrefix = `t${process.pid}-bench`;
  const budgetDirectory = join(scratch.path, 'budget');
  await mkdir(budgetDirectory);
  const run = await runBench({
    ...{ preset: PRESET, modes, lacking: [], programs: [], rounds: 2, windowMs: 200, seed: 5 },
    ...{ labPrefix, budgetDirectory },
    // Ours stands in for a foreign one: started as such, by its documented environment alone.
    ztunnel: programArgv('ztunnel'),
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  t.notOk(
    listLabs().some(({ name }) => name.startsWith(labPrefix)),
    'no lab is left',
  );
  holdsSamples(t, run, modes);
  holdsBudgets(t, run);
}

function holdsSamples(t: Test, run: BenchRun, modes: readonly ModeName[]): void {
  for (const { cell, samples } of run.cells) {
    for (const mode of modes) {
      const rounds = samples[mode] ?? [];
      t.same(
        rounds.map(({ round }) => round),
        [1, 2],
        `${cell.kind}, ${mode}`,
      );
      t.ok(rounds.every(({ failures }) => failures === 0));
      // On a busy machine nobody may have run in all of one so short window.
      t.ok(rounds.some(({ done }) => done > 0));
      const proxies = rounds.flatMap((sample) => sample.proxies);
      t.equal(proxies.length === 0, mode === 'none', 'no proxy without a mesh, and only there');
      t.ok(proxies.every(({ peakBytes }) => peakBytes > 1e6));
      t.equal(
        proxies.some(({ cpuSeconds }) => cpuSeconds > 0),
        mode !== 'none',
      );
    }
  }
  const [latency] = summarise(run);
  t.ok(latency?.modes.every(({ latency: found }) => found!.p50Us.median > 0));
  const added = latency?.modes.map(({ added: more }) => more?.p50Us !== undefined);
  t.same(
    added,
    modes.map((mode) => mode !== 'none'),
    'each has what it adds to no mesh',
  );
}

function holdsBudgets(t: Test, run: BenchRun): void {
  for (const { mode, readable, requests, split, legs, partsUs, medianUs } of run.budgets) {
    t.ok(requests > 0 && split >= requests * 0.8, `${mode}: ${split} of ${requests} were followed`);
    t.equal(readable, mode === 'none' ? requests : 0, `${mode}: readable between the nodes`);
    t.equal(legs, mode === 'none' ? 1 : 3);
    t.equal(partsUs['client-proxy'] > 0, mode !== 'none');
    const sum = Object.values(partsUs).reduce((total, part) => total + part, 0);
    t.ok(sum > medianUs * 0.5 && sum < medianUs * 2, 'the parts are about the median');
  }
}

async function scratchDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'ambient-lab-bench-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
