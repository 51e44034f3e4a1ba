import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import { finishInPlace } from '../world/in-place.ts';
import { renewTunnels } from '../run/renew-tunnels.ts';
import type { Lab, RequestReport } from '../world/lab.ts';
import { labPaths } from '../world/paths.ts';
import { programArgv } from '../world/programs.ts';
import { legsOf, type Probe, type ProbeResult, wayOf } from './probes.ts';
import { describeCount, readCounts, startCounting, type TunnelCounts } from './tunnel-count.ts';

/** ztunnel writes a leg when it has closed; a busy machine closes late. */
const LEGS_QUIET_MS = 150;
const LEGS_LATE_MS = 3_000;

interface Raw {
  readonly probe: Probe;
  readonly outcome: string;
  readonly local?: string;
  readonly seen?: string;
  readonly durationMs: number;
}

/**
 * Makes all probes at once, over new tunnels, and says what each came to.
 * @param usual what they come to when nothing is changed: legs that are awaited then are waited for
 */
export async function runProbes(
  lab: Lab,
  probes: readonly Probe[],
  timeoutMs: number,
  usual: readonly ProbeResult[] = [],
): Promise<readonly ProbeResult[]> {
  const hasTunnels = lab.plan.era === 'geneve';
  await renewTunnels(lab);
  if (hasTunnels) await startCounting(lab);
  const file = labPaths(lab.name).legs;
  const before = (await readFile(file, 'utf8').catch(() => '')).length;
  const raw = await Promise.all(probes.map((probe) => runProbe(lab, probe, timeoutMs)));
  const awaited = raw
    .filter(({ seen }) => seen !== undefined)
    .map((each) => {
      const { way = [] } = usual.find(({ name }) => name === each.probe.name) ?? {};
      return { ...each, ends: way.length };
    });
  const legs = await readLegs(file, before, awaited);
  const counts = hasTunnels ? await readCounts(lab) : undefined;
  return raw.map((each) => resultOf(each, legs, counts));
}

/** Legs since the beginning of the probes; those that are awaited get some time. */
async function readLegs(
  file: string,
  from: number,
  awaited: readonly (Raw & { readonly ends: number })[],
): Promise<readonly LegRecord[]> {
  const deadlineMs = performance.now() + LEGS_LATE_MS;
  for (;;) {
    await sleep(LEGS_QUIET_MS);
    const text = (await readFile(file, 'utf8').catch(() => '')).slice(from);
    const lines = text.split('\n').slice(0, -1);
    const legs = lines.map((line) => JSON.parse(line) as LegRecord);
    const isWhole = awaited.every(
      ({ local, seen, ends }) => wayOf(legsOf(legs, local, seen)).length >= ends,
    );
    if (isWhole || performance.now() > deadlineMs) return legs;
  }
}

function resultOf(
  { probe, outcome, local, seen, durationMs }: Raw,
  legs: readonly LegRecord[],
  counts: TunnelCounts | undefined,
): ProbeResult {
  const own = legsOf(legs, local, seen);
  const senders = [local, ...own.flatMap((leg) => [leg.upstream?.local, leg.tunnel?.local])];
  const wanted = own.find(({ direction }) => direction === 'outbound')?.originalDestination;
  return {
    ...{ name: probe.name, outcome, durationMs },
    ...(seen === undefined ? {} : { source: seen.replace(/:\d+$/, '') }),
    way: wayOf(own),
    ...(wanted === undefined ? {} : { wanted }),
    ...(counts && probe.dns === undefined ? { tunnel: describeCount(counts, senders) } : {}),
  };
}

async function runProbe(lab: Lab, probe: Probe, timeoutMs: number): Promise<Raw> {
  if (probe.dns !== undefined) return askName(lab, probe, timeoutMs);
  const { from, to, name } = probe;
  const report = await lab.request({ from, to, count: 1 }, { name, timeoutMs });
  const { local, sourceSeenByApp: seen } = report;
  return {
    probe,
    outcome: outcomeOf(report),
    durationMs: report.durationMs,
    ...(local === undefined ? {} : { local }),
    ...(seen === undefined ? {} : { seen }),
  };
}

/** What a person at curl would see. */
function outcomeOf({ outcome, status, exitCode, protocol }: RequestReport): string {
  if (protocol !== 'http') return outcome === 'ok' ? 'echoed' : `no echo (${outcome})`;
  if (outcome === 'ok') return String(status ?? 'no status');
  // Which of the two depends on what is read first, the reset or the end.
  if (outcome === 'reset') return 'curl 52 or 56 (reset)';
  return `curl ${exitCode ?? '?'} (${outcome})`;
}

async function askName(lab: Lab, probe: Probe, timeoutMs: number): Promise<Raw> {
  const [server = '', name = ''] = probe.to.split(' ');
  const client = ['client', probe.dns ?? '', server, '53', name, String(timeoutMs)];
  const startedMs = performance.now();
  const argv = [...programArgv('app-host'), ...client];
  const done = await finishInPlace(lab, probe.from, argv, { timeoutMs: timeoutMs + 10_000 });
  const durationMs = performance.now() - startedMs;
  const line = done.stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{'))
    return { probe, durationMs, outcome: `no client (exit ${done.exitCode})` };
  const { outcome, body } = JSON.parse(line) as Record<string, string>;
  return { probe, durationMs, outcome: outcome === 'ok' ? `answered ${body}` : 'no answer' };
}
