import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { diffHostState, readHostState } from '../e2e/support/host-state.ts';
import { killDuringRun, measurePhases, PHASES } from '../e2e/support/kill-run.ts';
import { command } from '../e2e/support/command.ts';
import { scratchDirectory } from '../e2e/support/lab.ts';
import { Random } from './support/random.ts';

const MOMENTS = Number(process.env['KILL_MOMENTS'] ?? 20);
const SEED = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);

t.setTimeout(30 * 60_000);
t.comment(`KILL_SEED=${SEED} makes the same moments again`);
await using scratch = await scratchDirectory();
const lengths = await measurePhases(t, scratch.path);
t.comment(`phases of a run: ${PHASES.map((p) => `${p} ${Math.round(lengths[p])} ms`).join(', ')}`);

for (const [stream, victim] of (['supervisor', 'client', 'ztunnel'] as const).entries()) {
  await t.test(`kill -9 of the ${victim} at ${MOMENTS} moments leaves nothing`, async (t) => {
    t.setTimeout(10 * 60_000);
    const random = new Random(SEED, stream);
    const before = readHostState();
    let hits = 0;
    let tries = 0;
    let missed = 0;
    // A victim that had ended by itself at its moment gets an earlier one.
    for (; hits < MOMENTS && tries < 3 * MOMENTS; tries++) {
      const phase = PHASES[hits % PHASES.length] ?? 'build';
      const moment = { phase, share: random.below(1_000) / 1_000 / 2 ** missed };
      const isHit = await killDuringRun(t, victim, moment, lengths, scratch.path);
      if (isHit) hits++;
      missed = isHit ? 0 : missed + 1;
    }
    t.equal(hits, MOMENTS, `${hits} of ${tries} kills met a living ${victim}`);
    const again = await command(['gc']);
    t.match(again, { exitCode: 0, stdout: '', stderr: '' }, 'gc has nothing more to say');
    t.same(diffHostState(before, readHostState()), [], 'the machine is as before');
    t.same(readdirSync(join(scratch.path, 'tmp')), [], 'no temporary file is left');
  });
}
