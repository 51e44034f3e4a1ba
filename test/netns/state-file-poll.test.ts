import { join } from 'node:path';
import t from 'tap';
import { runProgram } from '../../lab/hosts/run.ts';
import { scratchDirectory } from '../e2e/support/lab.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes a user namespace, which needs root');
  process.exit(0);
}

const PROGRAM = join(import.meta.dirname, 'state-file-poll.ts');

for (const { instances, word } of [
  { instances: 8, word: /^(?!.*cannot be watched).*reloaded$/s },
  { instances: 0, word: /local config cannot be watched, it is polled.*reloaded$/s },
]) {
  t.test(`StateFileWatch: a change is seen with ${instances} inotify instances`, async (t) => {
    await using scratch = await scratchDirectory();
    const limit = `echo ${instances} > /proc/sys/user/max_inotify_instances && exec "$@"`;
    const node = [process.execPath, '--import', 'tsx', PROGRAM, join(scratch.path, 'state.yaml')];
    const inside = ['--user', '--map-root-user', 'sh', '-c', limit, 'sh', ...node];
    const done = await runProgram(['unshare', ...inside], { timeoutMs: 60_000 });
    t.match(done.stdout, word);
  });
}
