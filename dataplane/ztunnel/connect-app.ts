import type { TcpConnection } from '../hbone/api.ts';
import { type Endpoint, formatEndpoint } from './address.ts';
import { osErrorText } from './proxy-error.ts';
import type { ProxyContext } from './proxy-context.ts';

/**
 * Connects to the app, as the client when `sourceIp` is given. A client that is the destination
 * itself keeps its address anyway; when spoofing fails, the connect goes ahead unspoofed.
 * @throws TcpConnectError, KernelError
 */
export async function connectApp(
  proxy: ProxyContext,
  to: Endpoint,
  sourceIp: string | undefined,
  signal: AbortSignal,
): Promise<TcpConnection> {
  const { dataPath, sockets } = proxy;
  const spoofs = sourceIp !== undefined && sourceIp !== to.ip;
  const fd = spoofs ? spoofedSocket(proxy, to, sourceIp) : sockets.connectTcp(to);
  return dataPath.connect(fd, to, { signal });
}

function spoofedSocket({ sockets, log }: ProxyContext, to: Endpoint, sourceIp: string): number {
  try {
    return sockets.connectTcpFrom(sourceIp);
  } catch (error) {
    const what = `failed to preserve source ${sourceIp} towards ${formatEndpoint(to)}`;
    log.warn('proxy', `${what}: ${osErrorText(error)}`);
    return sockets.connectTcp(to);
  }
}
