/** Parts of `ip:port`; IPv6 stands in brackets and loses them here. */
export function splitAddress(address: string): { readonly ip: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  const host = colon < 0 ? address : address.slice(0, colon);
  const port = colon < 0 ? Number.NaN : Number(address.slice(colon + 1));
  return { ip: host.startsWith('[') ? host.slice(1, -1) : host, port };
}

/** `ip:port` with IPv6 in brackets, the inverse of `splitAddress`. */
export function joinAddress(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** IP of an address that may or may not have a port. */
export function ipOf(address: string): string {
  const isBareIpv6 = !address.startsWith('[') && address.split(':').length > 2;
  return isBareIpv6 ? address : splitAddress(address).ip || address;
}
