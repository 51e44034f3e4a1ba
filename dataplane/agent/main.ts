import { pino } from 'pino';
import type { Logger } from 'pino';
import { setProcessName } from '../kernel/process.ts';
import { hostReleaseOf, hostRules } from '../redirect/host-rules.ts';
import { chooseTunnelKind } from '../tunnels/probe.ts';
import { ApiServer } from './api-server.ts';
import { detectPrograms } from './detect-programs.ts';
import type { Agent } from './agent.ts';
import { GeneveAgent } from './geneve-agent.ts';
import { GeneveNodeSide } from './geneve-node-side.ts';
import { HostSide } from './host-side.ts';
import { Journal } from './journal.ts';
import { NodeAgent } from './node-agent.ts';
import { readSettings } from './settings.ts';
import type { AgentSettings } from './settings.ts';

/**
 * The node agent as a program: one process a node, born in the node's netns. Its environment is in
 * `settings.ts`; it logs JSON lines on standard output and says `ready` when both sockets listen.
 * SIGTERM or SIGINT end it with status 0 and leave every pod as it is.
 */
async function main(): Promise<void> {
  const settings = await withBackend(readSettings(process.env), process.env);
  setProcessName('node-agent');
  const log = pino({ level: settings.logLevel, base: { node: settings.node } });
  const ended = endSignal();
  const journal = new Journal(settings.stateFile);
  if (settings.era === 'geneve') {
    await serveGeneve(settings, { log, journal }, ended);
    return;
  }
  const host = hostSideOf(settings);
  const agent = await NodeAgent.start({ ...settings, host, log, journal });
  await serve(settings, agent, log, ended);
  if (!settings.keepHostRules) await host.stop();
}

async function serveGeneve(
  settings: AgentSettings,
  parts: { readonly log: Logger; readonly journal: Journal },
  ended: Promise<NodeJS.Signals>,
): Promise<void> {
  const { node, geneveRelease: release, nodeAddress, podRange, dnsCapture, configFile } = settings;
  const tunnelKind = settings.tunnelKind ?? (await chooseTunnelKind());
  const place = { programs: settings.programs };
  const common = { release, dnsCapture, tunnelKind };
  const side = new GeneveNodeSide({ ...common, nodeAddress, podRange, place });
  const agent = await GeneveAgent.start({ ...common, ...parts, node, side, configFile });
  await serve(settings, agent, parts.log, ended);
  if (!settings.keepHostRules) await side.clean();
}

async function serve(
  settings: AgentSettings,
  started: Agent,
  log: Logger,
  ended: Promise<NodeJS.Signals>,
): Promise<void> {
  await using agent = started;
  await using _server = await ApiServer.listen(settings.pluginSocket, agent, log);
  const { era, dnsCapture, ipv6, iptablesBackend } = settings;
  log.info({ era, dnsCapture, ipv6, iptablesBackend, pods: agent.status().pods.length }, 'ready');
  const timer = reconcileTimer(settings.reconcileIntervalMs, agent);
  const signal = await ended;
  clearInterval(timer);
  log.info({ signal }, 'ending; pods keep their rules');
}

/** Looks once, on the node, which backend iptables has here: all its pods get the same. */
async function withBackend(
  settings: AgentSettings,
  env: Readonly<Record<string, string | undefined>>,
): Promise<AgentSettings> {
  const isTold = settings.iptablesBackend !== undefined || Boolean(env['IPTABLES_RESTORE']);
  if (isTold || settings.era === 'inpod-nft') return settings;
  const programs = await detectPrograms({ programs: settings.programs });
  return { ...settings, iptablesBackend: programs.backend, programs };
}

function hostSideOf(settings: AgentSettings): HostSide {
  const { hostRelease, tproxyRelease } = settings;
  const release = hostRelease ?? (tproxyRelease && hostReleaseOf(tproxyRelease));
  const rules = hostRules({
    era: settings.era,
    ipv6: settings.ipv6,
    kubeletUid: settings.kubeletUid,
    snatIpv4: settings.probeAddress,
    snatIpv6: settings.probeAddressIpv6,
    ...(release === undefined ? {} : { release }),
  });
  return new HostSide(rules, { programs: settings.programs });
}

function endSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
}

function reconcileTimer(intervalMs: number, agent: Agent): NodeJS.Timeout | undefined {
  if (intervalMs === 0) return undefined;
  return setInterval(() => void agent.reconcile(), intervalMs);
}

main().then(
  // Requests that still wait for a ztunnel must not keep the process.
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
