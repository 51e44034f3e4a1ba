import type { ConfigDumpSource } from './config-dump.ts';
import { type HttpAnswer, HttpEndpoint } from './http-endpoint.ts';
import { DEFAULT_LOG_FILTER, formatLogFilter, type Logger, parseLogFilter } from './log.ts';

export interface AdminOptions {
  readonly log: Logger;
  readonly port: number;
  readonly ipv6Enabled: boolean;
  readonly dump: ConfigDumpSource;
  /** Ends pooled tunnels with their streams, so that a recording sees the next ones from the start. */
  readonly renewTunnels: () => void;
  /** Writes leg records of connections that are open. */
  readonly writeOpenLegs: () => void;
  /** Starts the graceful shutdown. */
  readonly quit: () => void;
}

const INDEX = `<!DOCTYPE html>
<title>ztunnel admin</title>
<ul>
<li><a href="config_dump">/config_dump</a>: state and settings as JSON
<li>/logging: POST, with ?level=… to add and ?reset=… to start over
<li>/tunnels/renew: POST, the next request of each workload opens a new tunnel (not in Istio's ztunnel)
<li>/legs/open: POST, writes leg records of open connections (not in Istio's ztunnel)
<li>/quitquitquit: POST, shuts down
</ul>
`;

const LOGGING_USAGE = `usage: POST /logging\t\t\t(To list current level)
usage: POST /logging?level=<level>\t(To change global levels)
usage: POST /logging?level={mod1}={level1},{mod2}={level2}\t(To change specific mods' logging level)
valid levels: off, error, warn, info, debug, trace
`;

/** The admin endpoints on the loopback addresses. @throws BindError */
export function openAdminServer(options: AdminOptions): Promise<HttpEndpoint> {
  const { port, ipv6Enabled, log } = options;
  const v4 = { ip: '127.0.0.1', port };
  return HttpEndpoint.open({
    component: 'admin',
    addresses: ipv6Enabled ? [v4, { ip: '::1', port }] : [v4],
    log,
    handler: (request, url) => answer(options, request.method ?? 'GET', url),
  });
}

async function answer(options: AdminOptions, method: string, url: URL): Promise<HttpAnswer> {
  switch (url.pathname) {
    case '/':
      return { status: 200, contentType: 'text/html; charset=utf-8', body: INDEX };
    case '/config_dump': {
      const { configDump } = await import('./config-dump.ts');
      const body = JSON.stringify(configDump(options.dump), undefined, 2);
      return { status: 200, contentType: 'application/json', body };
    }
    case '/logging':
      return method === 'POST' ? logging(options.log, url) : { status: 405, body: LOGGING_USAGE };
    case '/tunnels/renew':
      if (method !== 'POST') return { status: 405, body: 'Invalid HTTP method' };
      options.renewTunnels();
      return { status: 200, body: 'renewed' };
    case '/legs/open':
      if (method !== 'POST') return { status: 405, body: 'Invalid HTTP method' };
      options.writeOpenLegs();
      return { status: 200, body: 'written' };
    case '/quitquitquit':
      if (method !== 'POST') return { status: 405, body: 'Invalid HTTP method' };
      setImmediate(options.quit);
      return { status: 200, body: 'shutdown now' };
    default:
      return { status: 404, body: '' };
  }
}

function logging(log: Logger, { searchParams }: URL): HttpAnswer {
  const level = searchParams.get('level');
  const base = searchParams.has('reset') ? DEFAULT_LOG_FILTER : log.filter;
  const filter = level === null ? base : parseLogFilter(level, base);
  if (!filter) {
    return { status: 400, body: `Invalid level provided: ${level}\n${LOGGING_USAGE}` };
  }
  log.filter = filter;
  return { status: 200, body: `current log level is ${formatLogFilter(filter)}\n` };
}
