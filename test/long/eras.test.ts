import { join } from 'node:path';
import t from 'tap';
import { runProgram } from '../../lab/hosts/run.ts';

t.setTimeout(1_200_000);

const E2E = join(import.meta.dirname, '..', 'e2e');

/** Behaviour that `npm test` shows in the eras of iptables alone. */
for (const file of ['annotations', 'conversations', 'lives', 'policies']) {
  t.test(`${file} in era inpod-nft`, { timeout: 300_000 }, async (t) => {
    const argv = [process.execPath, '--import', 'tsx', join(E2E, `${file}.test.ts`)] as const;
    const env = { AMBIENT_LAB_TEST_ERAS: 'inpod-nft', TAP_TIMEOUT: '280' };
    const done = await runProgram(argv, { timeoutMs: 290_000, env });
    t.equal(done.exitCode, 0, done.stdout.slice(-4000));
    t.match(done.stdout, /^ok 1 - .* era inpod-nft/m);
  });
}
