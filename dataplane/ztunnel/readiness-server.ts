import type { ZtunnelConfig } from './config.ts';
import { HttpEndpoint } from './http-endpoint.ts';
import type { Logger } from './log.ts';
import type { Readiness } from './readiness.ts';

/**
 * `GET /healthz/ready`: 200 `ready`, or 500 naming what is awaited.
 * @throws BindError
 */
export function openReadinessServer(
  config: ZtunnelConfig,
  readiness: Readiness,
  log: Logger,
): Promise<HttpEndpoint> {
  return HttpEndpoint.open({
    component: 'readiness',
    addresses: [{ ip: config.ipv6Enabled ? '::' : '0.0.0.0', port: config.ports.readiness }],
    log,
    handler: ({ method }, { pathname }) => {
      if (pathname !== '/healthz/ready') return { status: 404, body: '' };
      if (method !== 'GET') return { status: 405, body: 'Invalid HTTP method' };
      const pending = readiness.pending();
      if (pending.length === 0) return { status: 200, body: 'ready' };
      return { status: 500, body: `not ready, pending: ${pending.join(', ')}` };
    },
  });
}
