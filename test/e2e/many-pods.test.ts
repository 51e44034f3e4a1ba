import t from 'tap';
import { checkManyPods } from './support/many-pods.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.test('createLab() builds and enrols 100 pods, and down() removes them', async (t) => {
  t.setTimeout(280_000);
  await checkManyPods(t, 100);
});
