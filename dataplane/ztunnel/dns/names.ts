/** A name to look for, and the search domain that was taken off to get it, if one was. */
export interface Alias {
  readonly name: string;
  /** The queried name without the search domain. */
  readonly stripped?: string;
}

/** What turns a queried name into those that may be meant. All names lower case, no last dot. */
export interface NameContext {
  /** Namespace of the pod that asks. */
  readonly clientNamespace: string;
  readonly clusterDomain: string;
  readonly searchDomains: readonly string[];
}

/** Full names that Kubernetes lets people shorten to `name` (ztunnel `src/dns/server.rs`). */
export function kubernetesNames(name: string, context: NameContext): string[] {
  const { clientNamespace, clusterDomain } = context;
  const services = `svc.${clusterDomain}`;
  const labels = name.split('.');
  const endsInSvc = labels.at(-1) === 'svc';
  switch (labels.length) {
    case 1:
      return [`${name}.${clientNamespace}.${services}`];
    case 2:
      return [`${name}.${services}`, `${name}.${clientNamespace}.${services}`];
    case 3:
      return [...(endsInSvc ? [`${name}.${clusterDomain}`] : []), `${name}.${services}`];
    case 4:
      return endsInSvc ? [`${name}.${clusterDomain}`] : [];
    default:
      return [];
  }
}

/** Names to try in order: as asked, its long forms, then the same for each search domain stripped. */
export function aliasesOf(name: string, context: NameContext): Alias[] {
  const aliases = new Map<string, Alias>();
  const add = (alias: Alias): void => {
    if (!aliases.has(alias.name)) aliases.set(alias.name, alias);
  };
  add({ name });
  for (const long of kubernetesNames(name, context)) add({ name: long });
  for (const domain of context.searchDomains) {
    if (!name.endsWith(`.${domain}`)) continue;
    const stripped = name.slice(0, -domain.length - 1);
    add({ name: stripped, stripped });
    for (const long of kubernetesNames(stripped, context)) add({ name: long, stripped });
  }
  return [...aliases.values()];
}

/** `*.b.c` and `*.c` of `a.b.c`: the most specific first. */
export function wildcardsOf(name: string): string[] {
  const labels = name.split('.');
  return labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`);
}

/** What search domains a pod of that namespace has in Kubernetes. */
export function podSearchDomains(namespace: string, clusterDomain: string): string[] {
  return [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
}
