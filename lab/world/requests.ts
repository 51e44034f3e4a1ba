import { realtimeNs } from '../../dataplane/kernel/process.ts';
import { parseRequestTarget, type RequestTarget } from '../../topologies/request-target.ts';
import type { ScenarioRequest } from '../../topologies/topology.ts';
import type { Plan } from '../plan/plan.ts';
import type { EchoReport } from './apps/echo-client.ts';
import { createCanary } from './canary.ts';
import { curlArgv, readCurl } from './curl.ts';
import { LabError } from './errors.ts';
import type { RequestOptions, RequestReport } from './lab.ts';
import type { Observations } from './observations.ts';
import { programArgv } from './programs.ts';
import { runCaptured, type Captured } from './run-captured.ts';
import { resolvePod, resolveTarget, type Target } from './target.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
/** A client that outlives its own time limit by this is killed. */
const GRACE_MS = 3_000;
/** What an app saw comes over another channel than its answer, and may be later by this. */
const OBSERVATION_WAIT_MS = 100;

type ClientReport = Omit<
  RequestReport,
  | 'name'
  | 'from'
  | 'to'
  | 'protocol'
  | 'canary'
  | 'clientNetns'
  | 'startedNs'
  | 'endedNs'
  | 'durationMs'
>;

/**
 * Makes one request of a scenario with a real client program in the place it comes from: curl, or
 * our echo client for tcp and udp. Never throws for how the request ends.
 *
 * @throws LabError LAB_UNKNOWN_TARGET, LAB_BAD_REQUEST
 */
export async function makeRequest(
  plan: Plan,
  observations: Observations,
  request: ScenarioRequest,
  options: RequestOptions = {},
): Promise<RequestReport> {
  const from = resolveTarget(plan, request.from);
  const target = parseRequestTarget(request.to);
  if (typeof target === 'string') throw new LabError('LAB_BAD_REQUEST', target);
  const host = hostOf(plan, from, target);
  const canary = createCanary();
  const startedNs = realtimeNs();
  const report = await runClient(from, target, host, canary, options);
  const endedNs = realtimeNs();
  const seen = await observations.waitFor(canary, report.outcome === 'ok' ? OBSERVATION_WAIT_MS : 0);
  return {
    ...report,
    name: options.name ?? `${request.from} -> ${request.to}`,
    from: request.from,
    to: request.to,
    protocol: target.scheme,
    canary,
    clientNetns: from.netns,
    startedNs: startedNs.toString(),
    endedNs: endedNs.toString(),
    durationMs: Number(endedNs - startedNs) / 1e6,
    sourceSeenByApp: seen?.peer ?? originOf(report.body),
  };
}

/** The name or address that the client program is given. */
function hostOf(plan: Plan, from: Target, { host }: RequestTarget): string {
  switch (host.kind) {
    case 'name':
      return host.name;
    case 'address':
      return host.address;
    case 'pod':
      return resolvePod(plan, host.pod).address;
    case 'node':
      return addressOf(resolveTarget(plan, host.node));
    case 'outside':
      return plan.outside.address;
    case 'self':
      return addressOf(from);
  }
}

function addressOf(target: Target): string {
  if (target.address !== undefined) return target.address;
  throw new LabError('LAB_BAD_REQUEST', `Cannot request "${target.netns}": it has no address`);
}

async function runClient(
  from: Target,
  target: RequestTarget,
  host: string,
  canary: string,
  options: RequestOptions,
): Promise<ClientReport> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const inside = ['ip', 'netns', 'exec', from.netns];
  const limits = { timeoutMs: timeoutMs + GRACE_MS };
  if (target.scheme === 'http') {
    const url = `http://${host}:${target.port}${target.path}`;
    const argv = curlArgv(url, canary, timeoutMs, options.curl ?? []);
    return readCurl(await runCaptured([...inside, ...argv], limits));
  }
  const port = String(target.port);
  const client = ['client', target.scheme, host, port, canary, String(timeoutMs)];
  return readEcho(await runCaptured([...inside, ...programArgv('app-host'), ...client], limits));
}

function readEcho(done: Captured): ClientReport {
  const line = done.stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) {
    return { outcome: 'error', exitCode: done.exitCode, body: '', error: done.stderr.trim() };
  }
  return { ...(JSON.parse(line) as EchoReport), exitCode: done.exitCode };
}

/** What the http app says itself, for when its observation was lost with its process. */
function originOf(body: string): string | undefined {
  try {
    const { origin, originPort } = JSON.parse(body) as { origin?: unknown; originPort?: unknown };
    if (typeof origin !== 'string') return undefined;
    return typeof originPort === 'number' ? `${origin}:${originPort}` : origin;
  } catch {
    return undefined;
  }
}

