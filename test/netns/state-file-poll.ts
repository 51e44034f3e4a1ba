import { renameSync, writeFileSync } from 'node:fs';
import { DEFAULT_LOG_FILTER, Logger, nowUs } from '../../dataplane/ztunnel/log.ts';
import { StateStore } from '../../dataplane/ztunnel/state/state-store.ts';
import { StateFileWatch } from '../../dataplane/ztunnel/state/watch-file.ts';

/**
 * Loads a state file, changes it, and ends when the change has been taken in. Run by
 * `state-file-poll.test.ts` in a user namespace that has no inotify instance to give.
 */
const [path = ''] = process.argv.slice(2);
using log = new Logger({
  format: 'plain',
  filter: DEFAULT_LOG_FILTER,
  write: (text) => process.stdout.write(text),
  nowUs,
});
writeFileSync(path, 'workloads: []\n');
const store = new StateStore('node1');
using _watch = new StateFileWatch(path, store, log);
writeFileSync(`${path}.new`, 'policies: []\nworkloads: []\n');
renameSync(`${path}.new`, path);
const before = store.loaded;
const deadline = performance.now() + 30_000;
while (store.loaded === before && performance.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
log.flush();
process.stdout.write(store.loaded === before ? 'never reloaded\n' : 'reloaded\n');
