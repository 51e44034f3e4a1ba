import t from 'tap';
import { percentileUs, unpackHistogram } from '../../lab/bench/histogram.ts';
import { ERAS } from '../../dataplane/redirect/era.ts';
import { runProgram } from '../../lab/hosts/run.ts';
import { median } from '../../lab/bench/statistics.ts';
import { measuresModes } from '../support/bench-modes.ts';
import { HTTP_PORT, type LoadTarget, startLoadTarget } from '../support/load-target.ts';

t.setTimeout(900_000);

const URL = `http://127.0.0.1:${HTTP_PORT}/`;
const SECONDS = 2;
const ROUNDS = 3;
const BASE = {
  host: '127.0.0.1',
  port: HTTP_PORT,
  warmUpMs: 200,
  windowMs: SECONDS * 1_000,
} as const;
const quiet = { onOpened: () => undefined, onClosed: () => undefined };

for (const era of ERAS.filter((each) => each !== 'inpod-redirect')) {
  t.test(`runBench() measures no mesh and era ${era}`, (t) => measuresModes(t, ['none', era]));
}
t.test('runBench() measures a foreign ztunnel', (t) => measuresModes(t, ['none', 'ztunnel']));

t.test('the load generator saturates a target as wrk and hey do', async (t) => {
  await using target = await startLoadTarget();
  const found: Record<'ours' | 'wrk' | 'hey', number[]> = { ours: [], wrk: [], hey: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const result = await target.load.run({ ...BASE, kind: 'closed-loop', connections: 64 }, quiet);
    found.ours.push(result.done / result.seconds);
    const wrk = await say(target, ['wrk', '-t1', '-c64', `-d${SECONDS}s`, URL]);
    found.wrk.push(numberIn(wrk, /Requests\/sec:\s+([\d.]+)/));
    const hey = await say(target, ['hey', '-c', '64', '-z', `${SECONDS}s`, URL]);
    found.hey.push(numberIn(hey, /Requests\/sec:\s+([\d.]+)/));
  }
  const [ours, wrk, hey] = [found.ours, found.wrk, found.hey].map(median) as [
    number,
    number,
    number,
  ];
  t.comment(`requests/s: ours ${ours.toFixed(0)}, wrk ${wrk.toFixed(0)}, hey ${hey.toFixed(0)}`);
  t.ok(ours > wrk / 3, 'not a third of what wrk makes: the target is what is measured');
  t.ok(ours > hey / 2, 'nor half of what hey makes');
});

t.test('the load generator tells the latency that hey tells at the same pace', async (t) => {
  await using target = await startLoadTarget();
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const order = { ...BASE, kind: 'open-loop', connections: 4, rate: 400 } as const;
    const { latency, failures } = await target.load.run(order, quiet);
    t.equal(failures, 0);
    ours.push(percentileUs(unpackHistogram(latency!.sent), 50));
    // hey paces each of its workers.
    const hey = await say(target, ['hey', '-c', '4', '-q', '100', '-z', `${SECONDS}s`, URL]);
    theirs.push(numberIn(hey, /50% in ([\d.]+) secs/) * 1e6);
    // Its closed loop leaves out what it could not send in time.
    t.ok(numberIn(hey, /\[200\]\s+(\d+) responses/) > 200 * SECONDS, 'about the same load');
  }
  const [us, them] = [median(ours), median(theirs)];
  t.comment(
    `median from sending: ours ${us.toFixed(0)} µs, hey ${them.toFixed(0)} µs (in steps of 100 µs)`,
  );
  // hey prints tenths of a millisecond, and is no faster at telling than we.
  t.ok(us < them * 2 + 100, `${us} µs against ${them} µs`);
});

async function say(target: LoadTarget, argv: readonly string[]): Promise<string> {
  const done = await runProgram(target.argvIn(argv) as [string, ...string[]], {
    timeoutMs: 60_000,
  });
  if (done.exitCode !== 0)
    throw new Error(`${argv[0]} ended with ${done.exitCode}: ${done.stderr}`);
  return done.stdout;
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text);
  if (found === null) throw new Error(`Cannot find ${pattern} in ${text}`);
  return Number(found[1]);
}
