import t from 'tap';
import type { ModeName } from '../../lab/bench/mesh/modes.ts';
import { findEnvoy } from '../../lab/hosts/envoy.ts';
import { measuresModes } from '../support/bench-modes.ts';
import { command } from './support/command.ts';

t.setTimeout(280_000);

// The other eras and a foreign ztunnel: test/long/bench.test.ts.
t.test('runBench() measures no mesh, ambient and sidecars', async (t) => {
  const sidecar: readonly ModeName[] = findEnvoy() === undefined ? [] : ['sidecar'];
  await measuresModes(t, ['none', 'inpod-redirect', ...sidecar]);
});

t.test('bench says what it cannot do, before it builds anything', async (t) => {
  const cases: [readonly string[], RegExp, number][] = [
    [['--preset', 'quikc'], /Cannot run preset "quikc".*\n.*quick/, 2],
    [
      ['--modes', 'none', 'inpod-redirct'],
      /Cannot measure mode "inpod-redirct".*\n.*inpod-redirect/,
      2,
    ],
    [['--modes', 'ztunnel'], /--ztunnel/, 2],
    [['--ztunnel', '/nowhere/ztunnel'], /no such file/, 2],
    [['--rounds', '1'], /from 2/, 2],
  ];
  for (const [args, words, exitCode] of cases) {
    const done = await command(['bench', ...args]);
    t.equal(done.exitCode, exitCode, args.join(' '));
    t.match(done.stderr, words);
  }
  const env = { ENVOY: '/nowhere/envoy' };
  const done = await command(['bench', '--modes', 'sidecar'], { env });
  t.equal(done.exitCode, 3, 'without Envoy there are no sidecars');
  t.match(done.stderr, /Envoy.*Wanted/s);
});
