import t, { type Test } from 'tap';
import type { Era } from '../../dataplane/redirect/era.ts';
import { ERA_NAMES } from '../../topologies/era.ts';
import { ABLATIONS } from './support/ablations.ts';
import { findAblations } from './support/find-ablations.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'skipped: it makes network namespaces, which needs root');
  process.exit(0);
}

t.setTimeout(300_000);
t.jobs = ERA_NAMES.length;

for (const era of ERA_NAMES) {
  const name = `runMutations() finds ablations of era ${era}`;
  t.test(name, { buffered: true }, (t: Test) => {
    const quick = ABLATIONS[era satisfies Era].filter(({ isQuick }) => isQuick === true);
    return findAblations(t, era, quick);
  });
}
