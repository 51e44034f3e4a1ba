import { type Endpoint, isIpv6 } from './address.ts';
import { noAddress, type DialAddress } from './upstream.ts';

/**
 * An address for a workload that is known by host name only: the process's own resolver, both
 * families, one drawn at random from the family preferred.
 * @throws ProxyError when the name has no address
 */
export async function resolveDialAddress(
  dial: Extract<DialAddress, { readonly kind: 'hostname' }>,
  random: () => number = Math.random,
): Promise<Endpoint> {
  const { lookup } = await import('node:dns/promises');
  const found = await lookup(dial.hostname, { all: true }).catch(() => []);
  const all = found.map(({ address }) => address);
  const preferred = all.filter((ip) => isIpv6(ip) === dial.prefersIpv6);
  const candidates = preferred.length > 0 ? preferred : all;
  const ip = candidates[Math.floor(random() * candidates.length)];
  if (ip === undefined) throw noAddress(dial.uid);
  return { ip, port: dial.port };
}
