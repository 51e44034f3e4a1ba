import { realtimeNs } from '../../dataplane/kernel/process.ts';
import { bracketed, type IpFamily } from '../../topologies/ip.ts';
import type { ScenarioRequest } from '../../topologies/topology.ts';
import { findParty, resolveTarget, type Party, type ResolvedTarget } from '../plan/names.ts';
import type { Plan } from '../plan/plan.ts';
import type { EchoReport } from './apps/echo-client.ts';
import { createCanary } from './canary.ts';
import { curlArgv, readCurl } from './curl.ts';
import type { RequestOptions, RequestReport } from './lab.ts';
import type { Observations } from './observations.ts';
import { programArgv } from './programs.ts';
import { runCaptured, type Captured } from './run-captured.ts';

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
 * @throws {PlanError} LAB_BAD_TARGET, LAB_UNKNOWN_POD, LAB_UNKNOWN_NODE, LAB_UNKNOWN_SERVICE
 */
export async function makeRequest(
  plan: Plan,
  observations: Observations,
  request: ScenarioRequest,
  options: RequestOptions = {},
): Promise<RequestReport> {
  const from = findParty(plan, request.from);
  const target = resolveTarget(plan, request.to, from, request.ipFamily);
  const canary = createCanary();
  const startedNs = realtimeNs();
  const report = await runClient(from, { ...target, ipFamily: request.ipFamily }, canary, options);
  const endedNs = realtimeNs();
  const seen = await observations.waitFor(
    canary,
    report.outcome === 'ok' ? OBSERVATION_WAIT_MS : 0,
  );
  return {
    ...report,
    name: options.name ?? `${request.from} -> ${request.to}`,
    from: request.from,
    to: request.to,
    protocol: protocolOf(target.scheme),
    canary,
    clientNetns: from.netns,
    startedNs: startedNs.toString(),
    endedNs: endedNs.toString(),
    durationMs: Number(endedNs - startedNs) / 1e6,
    sourceSeenByApp: seen?.peer ?? originOf(report.body),
  };
}

async function runClient(
  from: Party,
  target: ResolvedTarget & { readonly ipFamily?: IpFamily },
  canary: string,
  options: RequestOptions,
): Promise<ClientReport> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const inside = ['ip', 'netns', 'exec', from.netns];
  const { ipFamily } = target;
  const isName = target.address === undefined;
  const limits = { timeoutMs: timeoutMs + GRACE_MS };
  if (target.scheme === 'http') {
    const argv = curlArgv(target.url, canary, timeoutMs, [
      ...resolveArgs(target),
      ...(isName && ipFamily !== undefined ? [ipFamily === 'IPv6' ? '-6' : '-4'] : []),
      ...(options.curl ?? []),
    ]);
    return readCurl(await runCaptured([...inside, ...argv], limits));
  }
  const { scheme, port } = target;
  if (scheme === 'dns' || scheme === 'dns-tcp') {
    const { host, path } = target;
    const name = host.kind === 'name' ? host.name : '';
    const asked = [target.address ?? '', String(port), name, String(timeoutMs), path];
    const argv = ['client', scheme === 'dns' ? 'dns-udp' : 'dns-tcp', ...asked];
    return readEcho(await runCaptured([...inside, ...programArgv('app-host'), ...argv], limits));
  }
  const host = target.address ?? target.authority.slice(0, -`:${port}`.length);
  const client = ['client', scheme, host, String(port), canary, String(timeoutMs)];
  if (ipFamily !== undefined) client.push(ipFamily === 'IPv6' ? '6' : '4');
  return readEcho(await runCaptured([...inside, ...programArgv('app-host'), ...client], limits));
}

function protocolOf(scheme: ResolvedTarget['scheme']): RequestReport['protocol'] {
  if (scheme === 'dns') return 'udp';
  return scheme === 'dns-tcp' ? 'tcp' : scheme;
}

/** Nodes and the client outside have no cluster DNS: a name comes with its address. */
function resolveArgs({ address, authority }: ResolvedTarget): readonly string[] {
  if (address === undefined || authority.startsWith(`${bracketed(address)}:`)) return [];
  return ['--resolve', `${authority}:${bracketed(address)}`];
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
