import t from 'tap';
import { withoutRecords } from '../../lab/bench/path/variants-envoy.ts';
import type { Measured } from '../../lab/bench/path/measure.ts';
import type { BenchResult, LoadName } from '../../lab/bench/path/run.ts';
import type { VariantName } from '../../lab/bench/path/variants.ts';
import { judge } from '../../lab/bench/path/verdict.ts';
import { programNode } from '../../lab/hosts/program-node.ts';
import { programArgv } from '../../lab/world/programs.ts';

const LOADS: readonly LoadName[] = [
  ...(['latency', 'saturation', 'connections', 'stream1', 'stream4', 'besideStream'] as const),
];

/** Every load measured once; `cost` is latency and CPU of one unit, its inverse the rate. */
function resultOf(costs: Partial<Record<VariantName, number>>, failures = 0): BenchResult {
  const measured = (cost: number): Measured => ({
    done: 1e9 / cost,
    seconds: 1,
    cpuSeconds: 1,
    failures,
    p50Us: cost,
    p99Us: cost,
  });
  const row = Object.fromEntries(
    Object.entries(costs).map(([name, cost]) => [name, [measured(cost)]]),
  );
  const samples = Object.fromEntries(LOADS.map((load) => [load, row]));
  return {
    samples: samples as unknown as BenchResult['samples'],
    memory: { peakBytes: [80e6, 89e6], idleBytes: [3e3, 4e3] },
  };
}

t.test('judge() holds every bar of what costs a fifth, and none of what costs as much', (t) => {
  const others = { direct: 20, haproxy: 100, haproxyRules: 120, envoy: 150 };
  const fast = judge(resultOf({ ...others, ours: 20 }));
  t.same(
    fast.filter(({ holds }) => !holds).map(({ name }) => name),
    [],
  );
  const [p50] = fast;
  t.match(p50?.ratios.haproxy, { median: 0.2, bar: '≤ 0.90', holds: true });
  t.match(p50?.ratios.haproxyRules, { bar: '', holds: true }, 'shown, without a bar');
  t.match(p50?.ratios.envoy, { bar: '≤ 0.55' });
  const slow = judge(resultOf({ ...others, ours: 150 }));
  const withBar = slow.filter(({ ratios }) => Object.values(ratios).some(({ bar }) => bar !== ''));
  t.ok(withBar.length >= 9);
  t.same(
    withBar.filter(({ holds }) => holds),
    [],
  );
  t.end();
});

t.test('judge() fails on failed requests and on memory; does without Envoy', (t) => {
  const costs = { direct: 20, haproxy: 100, haproxyRules: 120, ours: 20 };
  const failed = judge(resultOf(costs, 1));
  const compared = failed.filter(({ ratios }) => ratios.haproxy);
  t.ok(compared.length > 0 && compared.every(({ holds }) => !holds));
  const result = resultOf(costs);
  t.notOk(judge(result)[0]?.ratios.envoy, 'no Envoy, no ratio');
  const fat = judge({ ...result, memory: { peakBytes: [80e6, 91e6], idleBytes: [3e3] } });
  t.match(
    fat.filter(({ holds }) => !holds),
    [{ name: /resident/, medians: { ours: 91 } }],
  );
  t.end();
});

t.test('withoutRecords() takes away what only the lab logs', (t) => {
  const log = (path: string) => ({ name: 'file', typed_config: { path } });
  const config = {
    access_log: [log('/dev/stdout'), log('/dev/null')],
    tls: { key_log: {}, a: [1] },
  };
  t.same(withoutRecords(config), { access_log: [log('/dev/stdout')], tls: { a: [1] } });
  t.end();
});

t.test(
  'programNode() follows AMBIENT_LAB_NODE, and programArgv() refuses one that is none',
  (t) => {
    t.equal(programNode({ AMBIENT_LAB_NODE: 'own' }), process.execPath);
    t.equal(programNode({ AMBIENT_LAB_NODE: '/opt/node' }), '/opt/node');
    t.match(programNode({}), /node/, 'a fetched one, or this');
    const before = process.env['AMBIENT_LAB_NODE'];
    process.env['AMBIENT_LAB_NODE'] = '/nowhere/node';
    t.throws(() => programArgv('ztunnel'), { code: 'LAB_PROGRAM_MISSING', message: /nowhere/ });
    process.env['AMBIENT_LAB_NODE'] = 'own';
    t.equal(programArgv('ztunnel', ['--flag'])[0], process.execPath);
    t.equal(programArgv('ztunnel', ['--flag'])[1], '--flag');
    if (before === undefined) delete process.env['AMBIENT_LAB_NODE'];
    else process.env['AMBIENT_LAB_NODE'] = before;
    t.end();
  },
);
