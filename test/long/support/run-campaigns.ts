import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TAP, Test } from 'tap';
import type { CampaignResult } from './campaign.ts';

const CHILD = join(import.meta.dirname, 'campaign-child.ts');
/** A child that feeds the same input for that long hangs. */
const STALL_MS = 30_000;
const LOOK_MS = 1_000;
const CAMPAIGN_MS = 50 * 60_000;
const HEAP_MB = 256;
/** Growth of live memory from a tenth of the inputs to the end. */
const MAX_GROWTH_MB = 16;
const MAX_RSS_MB = 512;

export interface CampaignPlan {
  /** Module with `TARGETS`. */
  readonly module: string;
  readonly target: string;
  readonly count: number;
  /** First input: a long campaign may run in several children. */
  readonly from?: number;
  /** Least and greatest share of mutated inputs that may be accepted, when the mutator is any use. */
  readonly accepted?: readonly [least: number, most: number];
}

/** Seed of this run: `FUZZ_SEED`, or a new one. */
function campaignSeed(): number {
  return Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));
}

/** Inputs for a campaign that wants `count`: `FUZZ_COUNT` where that is set. */
function campaignCount(count: number): number {
  return Number(process.env['FUZZ_COUNT'] ?? count);
}

/** Runs the campaigns two at a time, as test machines have two cores, each as a test of its own. */
export function holdCampaigns(t: TAP, plans: readonly CampaignPlan[]): void {
  t.setTimeout(CAMPAIGN_MS);
  t.jobs = 2;
  for (const plan of plans) {
    const first = plan.from === undefined ? '' : `, from ${plan.from}`;
    const name = `${plan.target} bears ${campaignCount(plan.count)} mutated inputs${first}`;
    t.test(name, { buffered: true, timeout: CAMPAIGN_MS }, (t) => holdCampaign(t, plan));
  }
}

/** Runs one campaign in a child process and asserts what must hold of any module. */
async function holdCampaign(t: Test, plan: CampaignPlan): Promise<void> {
  const seed = campaignSeed();
  const count = campaignCount(plan.count);
  const { result, end } = await runChild(t, plan, seed, count);
  const again = `FUZZ_SEED=${seed}`;
  if (!t.ok(result, `${plan.target}: the child ends by itself (${end}; ${again})`) || !result)
    return;
  t.comment(describeResult(result));
  for (const { index, error, input } of result.faults) {
    t.fail(`${plan.target}: input ${index} of ${again}`, { error, input });
  }
  t.equal(result.inputs, count, `${plan.target}: every input is fed, typed errors only (${again})`);
  const [least, most] = plan.accepted ?? [0.01, 0.99];
  const share = result.accepted / result.inputs;
  t.ok(share >= least && share <= most, `${plan.target}: ${percent(share)} are still accepted`);
  const growthMb = result.lateMb - result.earlyMb;
  t.ok(growthMb <= MAX_GROWTH_MB, `${plan.target}: live memory grows by ${growthMb.toFixed(1)} MB`);
  t.ok(result.maxRssMb <= MAX_RSS_MB, `${plan.target}: ${result.maxRssMb} MB resident at most`);
}

/** The row of a table of results. */
export function describeResult(result: CampaignResult): string {
  const { name, inputs, accepted, refused, slowestMs, slowestIndex, maxRssMb, seed } = result;
  const codes = Object.entries(refused).map(([code, count]) => `${code} ${count}`);
  return (
    `${name}: ${inputs} inputs, ${percent(accepted / inputs)} accepted, slowest ${slowestMs} ms ` +
    `(input ${slowestIndex}), live ${result.earlyMb} → ${result.lateMb} MB, resident ${maxRssMb} MB ` +
    `at most, ` +
    `seed ${seed}, refused: ${codes.join(', ') || 'none'}`
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

interface ChildEnd {
  readonly result: CampaignResult | undefined;
  /** How the child ended, in words. */
  readonly end: string;
}

async function runChild(
  t: Test,
  plan: CampaignPlan,
  seed: number,
  count: number,
): Promise<ChildEnd> {
  const dir = mkdtempSync(join(tmpdir(), 'ambient-lab-fuzz-'));
  const progress = join(dir, 'progress');
  const node = ['--import=tsx', '--expose-gc', `--max-old-space-size=${HEAP_MB}`];
  const from = String(Number(process.env['FUZZ_FROM'] ?? 0) + (plan.from ?? 0));
  const args = [plan.module, plan.target, String(seed), from, String(count), progress];
  const child = spawn(process.execPath, [...node, CHILD, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let isStalled = false;
  const watch = watchProgress(progress, () => {
    isStalled = true;
    child.kill('SIGKILL');
  });
  try {
    const ended = once(child, 'close') as Promise<[number | null, string | null]>;
    const [out, problems] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [status, signal] = await ended;
    if (status === 0) return { result: JSON.parse(out) as CampaignResult, end: 'status 0' };
    const how = isStalled ? `hung for ${STALL_MS} ms` : `status ${status ?? signal}`;
    const at = `at input ${indexIn(progress)}`;
    return { result: undefined, end: `${how} ${at}: ${problems.slice(-2_000)}` };
  } finally {
    clearInterval(watch);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Calls `onStall` when the number in the file stands still; loading modules counts as the first. */
function watchProgress(file: string, onStall: () => void): NodeJS.Timeout {
  let last = '';
  let sinceMs = performance.now();
  return setInterval(() => {
    const index = indexIn(file);
    if (index !== last) {
      last = index;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > STALL_MS) onStall();
  }, LOOK_MS);
}

function indexIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return 'none';
  }
}
