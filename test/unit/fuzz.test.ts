import t from 'tap';
import { runCampaign, type FuzzTarget } from '../long/support/campaign.ts';
import { TARGETS as LIVE } from '../long/support/live-hbone-targets.ts';
import { mutateBytes } from '../long/support/mutate.ts';
import { TARGETS as PROTOCOLS } from '../long/support/protocol-targets.ts';
import { describeResult } from '../long/support/run-campaigns.ts';
import { TARGETS as TEXTS } from '../long/support/text-targets.ts';

/** The same inputs in every run: new ones are looked for by the long tests. */
const SEED = 20_261_121;
/** A topology takes milliseconds, a connection ten. */
const COUNTS: Readonly<Record<string, number>> = {
  iptablesSave: 400,
  nftListing: 300,
  topologyLoader: 100,
  staticFile: 150,
  evidence: 250,
  hboneServer: 30,
  hboneClient: 30,
};

t.setTimeout(120_000);
for (const [name, makeTarget] of Object.entries({ ...TEXTS, ...PROTOCOLS, ...LIVE })) {
  const count = COUNTS[name] ?? 1_000;
  t.test(`${name} bears ${count} mutated inputs`, async (t) => {
    const result = await runCampaign(await makeTarget(), { seed: SEED, count });
    t.same(result.faults, [], 'typed errors only, in time; the unmutated seeds are accepted');
    t.equal(result.inputs, count);
    const isBoth = result.accepted > 0 && result.accepted < count;
    t.ok(isBoth, `some are accepted, some refused: ${describeResult(result)}`);
  });
}

t.test('runCampaign() sees what a module does wrong', async (t) => {
  const seeds = [Buffer.from('good input')];
  const target: FuzzTarget<Buffer> = {
    name: 'a bad module',
    seeds,
    mutate: (random) => mutateBytes(random, seeds),
    feed: () => undefined,
    isPromised: (error) => error instanceof RangeError,
    limitMs: 5,
  };
  const faultsOf = async (feed: (input: Buffer) => unknown): Promise<readonly string[]> => {
    const isSeed = (input: Buffer): boolean => input.equals(seeds[0]!);
    const careful = (input: Buffer): unknown => (isSeed(input) ? undefined : feed(input));
    const { faults } = await runCampaign({ ...target, feed: careful }, { seed: SEED, count: 12 });
    return faults.map(({ error }) => error.split('\n')[0] ?? '');
  };
  t.same(await faultsOf(() => undefined), [], 'control: accepts all');
  t.same(await faultsOf(() => fail(new RangeError('no'))), [], 'control: refuses as promised');
  t.match((await faultsOf(() => fail(new TypeError('x is not')))).at(0), /^TypeError: x is not/);
  t.match((await faultsOf(() => spin(20))).at(0), /ms, at most 5 wished/, 'too slow');
  const picky = { ...target, feed: () => false };
  const { faults } = await runCampaign(picky, { seed: SEED, count: 1 });
  t.match(faults, [{ index: -1, error: /unmutated seed is refused/ }]);
});

function fail(error: Error): never {
  throw error;
}

/** Takes that much of the processor, not of the clock. */
function spin(ms: number): void {
  const start = process.cpuUsage();
  for (let spent = 0; spent < ms * 1_000;) {
    for (let turn = 0; turn < 1e6; turn++);
    const { user, system } = process.cpuUsage(start);
    spent = user + system;
  }
}
