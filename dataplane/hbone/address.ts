import type { SocketAddress } from './api.ts';

/** `ip:port`, IPv6 in brackets. */
export function formatAddress(address: SocketAddress): string {
  const { ip, port } = address;
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
