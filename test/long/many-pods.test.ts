import t from 'tap';
import { checkManyPods } from '../e2e/support/many-pods.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.test('createLab() builds and enrols 1,000 pods, and down() removes them', async (t) => {
  t.setTimeout(900_000);
  await checkManyPods(t, 1000);
});
