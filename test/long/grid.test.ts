import t from 'tap';
import { ERAS } from '../../dataplane/redirect/era.ts';
import type { GridResult } from '../../lab/grid/grid-result.ts';
import { findEnvoy, HOW_TO_GET_ENVOY } from '../../lab/hosts/envoy.ts';
import { command } from '../e2e/support/command.ts';
import { scratchDirectory } from '../e2e/support/lab.ts';

const skip = findEnvoy() === undefined ? `no Envoy here; wanted: ${HOW_TO_GET_ENVOY}` : false;

t.setTimeout(1_200_000);

for (const era of ERAS) {
  t.test(`grid stitches every cell of era ${era}, each as recorded`, { skip }, async (t) => {
    await using scratch = await scratchDirectory();
    const named = ['--era', era, '--lab', `tlg${process.pid}`, '--results', scratch.path];
    const done = await command(['grid', ...named, '--json'], { timeoutMs: 280_000 });
    t.equal(done.exitCode, 0, done.stderr);
    const { cells } = JSON.parse(done.stdout) as GridResult;
    t.equal(cells.length, 36);
    for (const { name, outcome, needs, differs, facts } of cells) {
      t.equal(outcome, 'holds', `${name}: ${needs ?? differs?.join() ?? 'as recorded'}`);
      t.not(facts?.encryption.extent ?? 'not known', 'not known', `${name}: each link is known`);
    }
  });
}
