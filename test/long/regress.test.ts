import { join } from 'node:path';
import t from 'tap';
import type { RegressResult } from '../../lab/regress/results.ts';
import { command } from '../e2e/support/command.ts';
import { scratchDirectory } from '../e2e/support/lab.ts';

/**
 * The whole grid again and again: what is committed must come out each time. `AMBIENT_LAB_REPEATS`
 * says how often; `AMBIENT_LAB_REGRESS` names topology files (parted by spaces) in place of all.
 */
const REPEATS = Number(process.env['AMBIENT_LAB_REPEATS'] ?? 50);
const CHOSEN = (process.env['AMBIENT_LAB_REGRESS'] ?? '').split(' ').filter((each) => each !== '');
const ROOT = join(import.meta.dirname, '..', '..');
const GRID_TIMEOUT_MS = 900_000;

t.setTimeout(REPEATS * GRID_TIMEOUT_MS);

t.test(`regress comes to the same ${REPEATS} times`, async (t) => {
  const seconds: number[] = [];
  for (let turn = 1; turn <= REPEATS; turn++) {
    await using scratch = await scratchDirectory();
    const started = performance.now();
    const done = await command(['regress', ...CHOSEN, '--json', '--results', scratch.path], {
      timeoutMs: GRID_TIMEOUT_MS,
      env: { AMBIENT_LAB_ROOT: ROOT },
    });
    seconds.push((performance.now() - started) / 1000);
    t.equal(done.exitCode, 0, `turn ${turn}: ${seconds.at(-1)?.toFixed(1)} s`);
    if (done.exitCode !== 0) t.comment(done.stderr.slice(-2000), oddOnes(done.stdout));
  }
  const middle = [...seconds].sort((a, b) => a - b)[Math.floor(seconds.length / 2)] ?? 0;
  t.comment(`median ${middle.toFixed(1)} s, longest ${Math.max(...seconds).toFixed(1)} s`);
});

/** What was not the same, for a person. */
function oddOnes(json: string): string {
  if (!json.startsWith('{')) return json.slice(0, 2000);
  const { cells } = JSON.parse(json) as RegressResult;
  const odd = cells.flatMap(({ topology, era, scenarios, reason }) => [
    ...(reason === undefined ? [] : [{ topology, era, reason }]),
    ...scenarios
      .filter(({ state }) => state !== 'same')
      .map((scenario) => ({ topology, era, ...scenario })),
  ]);
  return JSON.stringify(odd, null, 1);
}
