/** Suffix of every name the cluster's DNS answers. */
export const CLUSTER_DOMAIN = 'cluster.local';

/**
 * Names a service has for a client in `clientNamespace`: what resolv.conf's search list makes of
 * `svc`, `svc.ns`, `svc.ns.svc` and the full `svc.ns.svc.cluster.local`.
 */
export function namesOfService(
  service: { readonly name: string; readonly namespace: string },
  clientNamespace: string | undefined,
): string[] {
  const { name, namespace } = service;
  const names = [
    `${name}.${namespace}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`,
  ];
  return namespace === clientNamespace ? [name, ...names] : names;
}
