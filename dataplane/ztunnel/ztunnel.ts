import { createDataPath } from '../hbone/data-path.ts';
import { CertificateStore } from '../identity/certificate-store.ts';
import { loadFileCa } from '../identity/file-ca.ts';
import { openAdminServer } from './admin-server.ts';
import { CertificatePrefetch } from './certificate-prefetch.ts';
import { ConfigError } from './config-error.ts';
import type { ZtunnelConfig } from './config.ts';
import { KeyLog } from './key-log.ts';
import { NodeProxy } from './node-proxy.ts';
import { LegLog } from './leg-log.ts';
import type { Logger } from './log.ts';
import { PodProxy } from './pod-proxy.ts';
import type { ProcessContext } from './proxy-context.ts';
import { Readiness } from './readiness.ts';
import { openReadinessServer } from './readiness-server.ts';
import { StateStore } from './state/state-store.ts';
import { readStaticState } from './state/static-source.ts';
import { StateFileWatch } from './state/watch-file.ts';
import { WorkloadManager } from './workload-manager.ts';
import { followAgent } from './zds-client.ts';

export interface ZtunnelOptions {
  readonly config: ZtunnelConfig;
  readonly log: Logger;
  /** Aborted by signals, by `/quitquitquit` and by a failure: the process drains then. */
  readonly shutdown: AbortController;
}

/**
 * Runs ztunnel until `shutdown` aborts and everything is drained.
 * @throws BindError, CaFileError, StaticFileError, ZdsProtocolError, or Node's error of a file
 */
export async function runZtunnel(options: ZtunnelOptions): Promise<void> {
  const { config, log } = options;
  const disposables: Disposable[] = [];
  const own = <T extends Disposable>(disposable: T): T => {
    disposables.push(disposable);
    return disposable;
  };
  try {
    const readiness = new Readiness(log);
    const tasks = {
      dns: readiness.register('dns proxy'),
      proxy: readiness.register('proxy'),
      state: readiness.register('state manager'),
    };
    // Taken before the first listener can report the process ready.
    const manager =
      config.proxyMode === 'shared' && config.inpodEnabled
        ? readiness.register('workload proxy manager')
        : undefined;
    own(await openReadinessServer(config, readiness, log));
    const process = openContext(options, own);
    if (manager) {
      await runShared({ ...options, process, own, ready: manager, tasks });
    } else if (config.proxyMode === 'shared') {
      await runNode({ ...options, process, own, tasks });
    } else {
      await runDedicated({ ...options, process, own, tasks });
    }
  } finally {
    for (const disposable of disposables.reverse()) disposable[Symbol.dispose]();
  }
}

type Own = <T extends Disposable>(disposable: T) => T;
type Task = ReturnType<Readiness['register']>;

interface Run extends ZtunnelOptions {
  readonly process: ProcessContext;
  readonly own: Own;
  readonly tasks: { readonly dns: Task; readonly proxy: Task; readonly state: Task };
}

function openContext({ config, log }: ZtunnelOptions, own: Own): ProcessContext {
  const { caCertFile: certFile, caKeyFile: keyFile, secretTtlMs: ttlMs } = config;
  const certificates = own(new CertificateStore(loadFileCa({ certFile, keyFile, ttlMs })));
  const keyLog =
    config.sslKeyLogFile === undefined ? undefined : own(new KeyLog(config.sslKeyLogFile));
  const node = config.nodeName ?? '';
  const legs = config.legLog === undefined ? undefined : own(new LegLog(config.legLog, node));
  const dataPath = own(
    createDataPath({
      keylog: keyLog && ((line) => keyLog.write(line)),
      onCallbackError: (error) =>
        log.error('proxy', 'a connection failed unexpectedly', { error: describe(error) }),
    }),
  );
  const store = new StateStore(config.nodeName);
  loadState(config, store, log, own);
  return { config, log, store, certificates, dataPath, legs };
}

function loadState(config: ZtunnelConfig, store: StateStore, log: Logger, own: Own): void {
  if (config.state?.kind === 'file') own(new StateFileWatch(config.state.path, store, log));
  else store.replace(readStaticState(config.state));
  log.info('xds:local_client', 'local config initialized', {
    num_workloads: store.loaded.workloads.length,
    num_policies: store.loaded.policies.length,
  });
}

async function openAdmin(run: Run, proxies: WorkloadManager | PodProxy | NodeProxy): Promise<void> {
  const { config, log, process, shutdown, own } = run;
  const { store, certificates } = process;
  const workloads = proxies instanceof WorkloadManager ? () => proxies.views() : undefined;
  own(
    await openAdminServer({
      log,
      port: config.ports.admin,
      ipv6Enabled: config.ipv6Enabled,
      dump: { config, store, certificates, workloads },
      renewTunnels: () => proxies.renewTunnels(),
      writeOpenLegs: () => process.legs?.writeOpen(),
      quit: () => shutdown.abort(),
    }),
  );
}

async function runShared(run: Run & { readonly ready: Task }): Promise<void> {
  const { config, log, process, shutdown, own, tasks, ready } = run;
  log.info('app', 'shared proxy mode - in-pod mode enabled');
  const { store, certificates } = process;
  own(new CertificatePrefetch(certificates, store, config.nodeName));
  const manager = new WorkloadManager({
    log,
    ready,
    start: (identity, netns) => new PodProxy(process, identity, netns),
  });
  await openAdmin(run, manager);
  completeAll(tasks);
  try {
    const { signal } = shutdown;
    await followAgent({ path: config.inpodUds, manager, log, signal });
  } finally {
    log.info('inpod::workloadmanager', 'drain requested');
    await manager.drain(config.terminationDeadlineMs);
  }
}

async function runNode(run: Run): Promise<void> {
  const { config, log, process, own } = run;
  log.info('app', 'shared proxy mode - in-pod mode disabled');
  const { store, certificates } = process;
  own(new CertificatePrefetch(certificates, store, config.nodeName));
  await serveUntilShutdown(run, new NodeProxy(process));
}

async function runDedicated(run: Run): Promise<void> {
  const { config, log, process } = run;
  if (!config.proxyWorkload) {
    throw new ConfigError('PROXY_WORKLOAD_INFO', undefined, 'namespace/name/service-account');
  }
  log.info('app', 'dedicated proxy mode enabled');
  await serveUntilShutdown(run, new PodProxy(process, config.proxyWorkload, undefined));
}

async function serveUntilShutdown(run: Run, proxy: NodeProxy | PodProxy): Promise<void> {
  try {
    await openAdmin(run, proxy);
    completeAll(run.tasks);
    await aborted(run.shutdown.signal);
  } finally {
    await proxy.drain(run.config.terminationDeadlineMs);
  }
}

function completeAll({ dns, proxy, state }: Run['tasks']): void {
  for (const task of [dns, proxy, state]) task.complete();
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
