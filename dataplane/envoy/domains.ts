import type { OutboundService } from './sidecar-input.ts';

/**
 * Names by which a client in `namespace` may call a service over HTTP, with and without port
 * (Istio `pilot/pkg/networking/core/httproute.go`, generateVirtualHostDomains).
 */
export function domainsOf(
  { name, namespace: own, hostname, vips }: OutboundService,
  port: number,
  namespace: string,
): readonly string[] {
  const isNear = own === namespace;
  const names = [
    hostname,
    `${hostname}.`,
    ...(isNear ? [name] : []),
    `${name}.${own}`,
    `${name}.${own}.svc`,
    ...vips.map((vip) => (vip.includes(':') ? `[${vip}]` : vip)),
  ];
  return names.flatMap((each) => [each, `${each}:${port}`]);
}
