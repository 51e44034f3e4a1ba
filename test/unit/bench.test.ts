import t from 'tap';
import {
  countUpTo,
  createHistogram,
  mergeHistograms,
  packHistogram,
  percentileUs,
  quantiles,
  recordMs,
} from '../../lab/bench/histogram.ts';
import { type Ends, PARTS, splitRequest } from '../../lab/bench/budget/split-request.ts';
import type { DataFrame } from '../../lab/bench/budget/data-frames.ts';
import { ResponseReader } from '../../lab/bench/load/response-reader.ts';
import type { MeasuredCell } from '../../lab/bench/mesh/bench-run.ts';
import { cellId } from '../../lab/bench/mesh/cell.ts';
import { compareModes } from '../../lab/bench/mesh/compare-modes.ts';
import { fortioFiles } from '../../lab/bench/mesh/fortio-result.ts';
import { PRESETS, secondsOf, windowFor } from '../../lab/bench/mesh/presets.ts';
import { shuffled } from '../../lab/bench/mesh/run-bench.ts';
import { summarise } from '../../lab/bench/mesh/summarise.ts';
import { benchCsv } from '../../lab/bench/mesh/write-csv.ts';
import { seededRandom } from '../../lab/bench/statistics.ts';
import { orderFinding } from '../../lab/claims/checks/order.ts';
import { renderBench } from '../../lab/report/bench.ts';
import { linearAxis, logAxis, ninesAxis } from '../../lab/report/html/charts/axis.ts';
import { exampleRun } from '../fixtures/bench/example-run.ts';

t.test('ResponseReader counts answers however they are cut', (t) => {
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-envoy: 1\r\n\r\nhello';
  const stream = Buffer.from(answer.repeat(3));
  for (const size of [1, 2, 7, 64, stream.length]) {
    const reader = new ResponseReader();
    let complete = 0;
    for (let at = 0; at < stream.length; at += size) {
      complete += reader.push(stream.subarray(at, at + size));
    }
    t.equal(complete, 3, `pieces of ${size} bytes`);
  }
  const push = (text: string) => () => new ResponseReader().push(Buffer.from(text));
  t.throws(push('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'), { message: /HTTP\/1.1 503 No/ });
  t.throws(push('HTTP/1.1 200 OK\r\n\r\n'), { message: /no Content-Length/ });
  t.throws(push('x'.repeat(20_000)), { message: /endless/ });
  t.equal(
    new ResponseReader().push(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')),
    1,
  );
  t.end();
});

t.test('histograms keep three digits through packing and merging', (t) => {
  const [one, other] = [createHistogram(), createHistogram()];
  for (let i = 1; i <= 1_000; i++) recordMs(i % 2 === 0 ? one : other, i / 1_000);
  const all = mergeHistograms([packHistogram(one), packHistogram(other)]);
  t.equal(all.totalCount, 1_000);
  for (const percentile of [1, 50, 90, 99]) {
    const wished = percentile * 10;
    t.ok(Math.abs(percentileUs(all, percentile) - wished) <= wished / 500, `p${percentile}`);
    t.equal(countUpTo(all, wished * 1.001), wished);
  }
  const curve = quantiles(all);
  t.equal(curve.at(-1)?.percentile, 100);
  t.ok(curve.every(({ valueUs }, index) => index === 0 || valueUs > curve[index - 1]!.valueUs));
  t.same(quantiles(createHistogram()), []);
  t.end();
});

const ENDS: Ends = {
  clientIp: '10.244.1.2',
  serverIp: '10.244.2.2',
  appPort: 8080,
  clientNetns: 'client',
  serverNetns: 'server',
  requestBytes: 60,
  bodyBytes: 1024,
};

function frame(
  atNs: number,
  netns: string,
  from: string,
  to: string,
  payloadBytes: number,
): DataFrame {
  const [source = '', sourcePort] = from.split(':');
  const [destination = '', destinationPort] = to.split(':');
  return {
    ...{ netns, interface: 'eth0', atNs, payloadBytes, head: Buffer.alloc(0) },
    ...{
      source,
      sourcePort: Number(sourcePort),
      destination,
      destinationPort: Number(destinationPort),
    },
  };
}

t.test('splitRequest() gives parts that add up to the whole', (t) => {
  const app = '10.244.1.2:5000';
  const tunnel = '10.244.1.2:6000';
  const inner = '10.244.1.2:7000';
  const hbone = '10.244.2.2:15008';
  const frames = [
    frame(10, 'client', app, '127.0.0.1:15001', 70),
    frame(30, 'client', tunnel, hbone, 90),
    frame(35, 'node1', tunnel, hbone, 90),
    frame(40, 'server', tunnel, hbone, 90),
    frame(65, 'server', inner, '10.244.2.2:8080', 70),
    frame(70, 'server', hbone, tunnel, 35),
    frame(80, 'server', '10.244.2.2:8080', inner, 1100),
    frame(100, 'server', hbone, tunnel, 1130),
    frame(110, 'client', hbone, tunnel, 1130),
    frame(111, 'client', tunnel, hbone, 40),
    frame(150, 'client', '127.0.0.1:15001', app, 1100),
  ];
  const split = splitRequest({ sentNs: 0, answeredNs: 160 }, frames, ENDS);
  t.same(split?.partsNs, {
    client: 20,
    redirect: 0,
    'client-proxy': 60,
    wire: 20,
    'server-proxy': 45,
    app: 15,
  });
  t.same([split?.legs, split?.sightings, split?.totalNs], [3, 9, 160]);
  const sum = PARTS.reduce((total, part) => total + (split?.partsNs[part] ?? 0), 0);
  t.equal(sum, 160, 'window updates and acknowledgements belong to nothing');
  const blind = frames.filter(({ netns, sourcePort }) => netns !== 'server' || sourcePort !== 7000);
  t.equal(splitRequest({ sentNs: 0, answeredNs: 160 }, blind, ENDS), undefined, 'control: a hole');
  t.end();
});

t.test('splitRequest() tells the way to a proxy elsewhere on the node from the wire', (t) => {
  const vip = '10.96.0.9:8000';
  const frames = [
    frame(10, 'client', '10.244.1.2:5000', vip, 70),
    frame(25, 'ztunnel', '10.244.1.2:5000', vip, 70),
    frame(50, 'ztunnel', '10.244.1.2:6000', '10.244.2.2:15008', 90),
    frame(60, 'ztunnel2', '10.244.1.2:6000', '10.244.2.2:15008', 90),
    frame(80, 'ztunnel2', '10.244.1.2:7000', '10.244.2.2:8080', 70),
    frame(85, 'server', '10.244.1.2:7000', '10.244.2.2:8080', 70),
    frame(90, 'server', '10.244.2.2:8080', '10.244.1.2:7000', 1100),
    frame(97, 'ztunnel2', '10.244.2.2:8080', '10.244.1.2:7000', 1100),
    frame(110, 'ztunnel2', '10.244.2.2:15008', '10.244.1.2:6000', 1100),
    frame(120, 'ztunnel', '10.244.2.2:15008', '10.244.1.2:6000', 1100),
    frame(140, 'ztunnel', vip, '10.244.1.2:5000', 1100),
    frame(150, 'client', vip, '10.244.1.2:5000', 1100),
  ];
  const split = splitRequest({ sentNs: 5, answeredNs: 155 }, frames, ENDS);
  t.equal(split?.partsNs.redirect, 15 + 5 + 7 + 10);
  t.equal(split?.partsNs.wire, 20);
  t.same([split?.partsNs['client-proxy'], split?.partsNs['server-proxy']], [45, 33]);
  t.end();
});

t.test('shuffled() repeats with its seed and holds every value', (t) => {
  const values = ['a', 'b', 'c', 'd', 'e'];
  const orders = (seed: number): string[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 40 }, () => shuffled(values, random).join(''));
  };
  t.same(orders(7), orders(7));
  t.not(orders(7).join(), orders(8).join());
  t.ok(orders(7).every((order) => [...order].sort().join('') === 'abcde'));
  t.ok(new Set(orders(7).map((order) => order[0])).size === 5, 'each comes first at times');
  t.end();
});

t.test('windowFor() keeps preset quick within its time, whatever the number of modes', (t) => {
  const quick = PRESETS.find(({ name }) => name === 'quick')!;
  for (const modes of [1, 2, 6, 7]) {
    const windowMs = windowFor(quick, modes, quick.rounds);
    t.ok(windowMs >= 100);
    t.ok(secondsOf(quick, modes, quick.rounds, windowMs) <= 71, `${modes} modes`);
  }
  t.end();
});

t.test('a run as CSV, as files for fortio, as text', (t) => {
  const run = exampleRun();
  const lines = benchCsv(run).trim().split('\r\n');
  const windows = run.cells.length * run.modes.length * run.rounds;
  t.equal(lines.length, windows + 1);
  t.equal(
    new Set(lines.map((line) => line.split(',').length)).size,
    1,
    'each line has all columns',
  );
  const files = fortioFiles(run);
  t.same(
    files.map(({ name }) => name).sort(),
    run.cells
      .filter(({ cell }) => cell.kind === 'open-loop')
      .flatMap(({ cell }) => run.modes.map((mode) => `${cellId(cell)}-${mode}.json`))
      .sort(),
  );
  for (const { content } of files) {
    const { DurationHistogram: histogram } = content as {
      DurationHistogram: {
        Count: number;
        Min: number;
        Max: number;
        Data: { Start: number; End: number; Count: number; Percent: number }[];
      };
    };
    const { Count, Min, Max, Data } = histogram;
    t.equal(
      Data.reduce((sum, bucket) => sum + bucket.Count, 0),
      Count,
      'buckets hold all requests',
    );
    t.ok(
      Data.every((bucket, index) => bucket.Start === (index === 0 ? Min : Data[index - 1]!.End)),
    );
    t.same([Data.at(-1)!.Percent, Data.at(-1)!.End >= Max * 0.99], [100, true]);
  }
  const cells = summarise(run);
  const comparisons = compareModes(run);
  const verdicts = comparisons.map(({ metric, mode, than, verdict }) =>
    [metric, mode, than, verdict].join(' '),
  );
  t.ok(verdicts.includes('p50 inpod-redirect none more'));
  t.ok(verdicts.includes('p50 inpod-redirect sidecar less'));
  t.ok(verdicts.includes('memory inpod-redirect sidecar less'));
  t.notOk(
    verdicts.some((text) => text.startsWith('cpu inpod-redirect none')),
    'no proxy, no ratio',
  );
  const text = renderBench({ run, cells, comparisons }, { width: 120, color: false });
  for (const word of [
    '--seed 7',
    'p50',
    'sidecar',
    'lower bound',
    'topology',
    'Not measured: foreign ztunnel',
  ]) {
    t.ok(text.includes(word), word);
  }
  t.end();
});

t.test('orderFinding() holds, is refuted, or cannot tell', (t) => {
  const run = exampleRun();
  t.equal(orderFinding(run, ['p50', 'p99']).outcome, 'holds');
  t.match(
    orderFinding(run, ['cpu', 'memory']).text,
    /CPU of the proxies 0\.\d\d to 0\.\d\d times a sidecar/,
  );
  const swapped = { ...run, cells: run.cells.map(exchangeModes) };
  t.equal(orderFinding(swapped, ['p50', 'p99']).outcome, 'refuted', 'control');
  const alike = { ...run, cells: run.cells.map(makeAlike) };
  t.equal(orderFinding(alike, ['p50', 'p99']).outcome, 'could not run');
  t.equal(orderFinding({ ...run, cells: [] }, ['p50']).outcome, 'could not run');
  const [first, ...others] = run.cells;
  const lost = { ...first!, samples: { ...first!.samples, sidecar: [] } };
  const partly = orderFinding({ ...run, cells: [lost, ...others] }, ['cpu']).outcome;
  t.equal(partly, 'could not run', 'a load that was not measured is not "less"');
  t.end();
});

function exchangeModes({ cell, samples }: MeasuredCell): MeasuredCell {
  const { sidecar, 'inpod-redirect': ambient } = samples;
  return { cell, samples: { ...samples, sidecar: ambient, 'inpod-redirect': sidecar } };
}

function makeAlike({ cell, samples }: MeasuredCell): MeasuredCell {
  return { cell, samples: { ...samples, sidecar: samples['inpod-redirect'] } };
}

t.test('axes of charts place what they name', (t) => {
  const linear = linearAxis('', 37, String);
  t.same(
    linear.ticks.map(({ label }) => label),
    ['0', '10', '20', '30', '40'],
  );
  t.equal(linear.place(20), 0.5);
  const log = logAxis('', 130, 9_000, String);
  t.same([log.ticks[0]?.label, log.ticks.at(-1)?.label], ['100', '10000']);
  t.equal(log.place(1_000), 0.5);
  const nines = ninesAxis('', 99.9);
  t.equal(nines.place(90).toFixed(3), (1 / 3).toFixed(3));
  t.equal(nines.place(100), 1);
  t.end();
});
