/** Where a request of a scenario goes, as written; `lab/plan/names.ts` finds the address. */
export interface RequestTarget {
  /** `dns` and `dns-tcp` ask the cluster's DNS for the name that stands for the host. */
  readonly scheme: 'http' | 'tcp' | 'udp' | 'dns' | 'dns-tcp';
  readonly host: TargetHost;
  /** 80 for http when absent, 53 for dns; tcp and udp name one. */
  readonly port: number;
  /** With query, from the `/`; `/` when absent. Of dns: the type of record, `A` when absent. */
  readonly path: string;
}

export type TargetHost =
  | { readonly kind: 'name'; readonly name: string }
  /** Without the brackets of IPv6. */
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'pod'; readonly pod: string }
  | { readonly kind: 'node'; readonly node: string }
  | { readonly kind: 'outside' }
  | { readonly kind: 'self' };

/** Types of record that a scenario may ask for. */
const QUESTION_TYPES = ['A', 'AAAA', 'SRV', 'TXT'];

const TARGET =
  /^(http|tcp|udp|dns|dns-tcp):\/\/((?:pod|node):[^:\s?#]+|\[[^\]\s]*\]|[^:/\s?#]+)(?::(\d{1,5}))?(\/\S*)?$/;

/**
 * Reads `http://httpbin.demo:8000/get`, `tcp://pod:demo/echo:9000`, `udp://self:53`,
 * `http://[fd00:10:244:1::4]:8080/`, `dns://httpbin.demo.svc.cluster.local/AAAA`.
 * The answer is a sentence saying what is wrong when it cannot.
 */
export function parseRequestTarget(to: string): RequestTarget | string {
  const match = TARGET.exec(to);
  if (!match)
    return `Not a request target "${to}": want http://, tcp:// or udp:// host:port, or dns://name`;
  const scheme = match[1] as RequestTarget['scheme'];
  if (scheme === 'dns' || scheme === 'dns-tcp') {
    return questionOf(scheme, { name: match[2]!, port: match[3], path: match[4] });
  }
  const host = parseHost(match[2]!);
  if (match[3] === undefined && (scheme !== 'http' || host.kind === 'pod' || host.kind === 'node'))
    return `Request target "${to}" names no port`;
  const port = match[3] === undefined ? 80 : Number(match[3]);
  if (port < 1 || port > 65535) return `Not a port "${match[3]}": want 1 to 65535`;
  return { scheme, host, port, path: match[4] ?? '/' };
}

function questionOf(
  scheme: 'dns' | 'dns-tcp',
  {
    name,
    port,
    path = '/A',
  }: { name: string; port?: string | undefined; path?: string | undefined },
): RequestTarget | string {
  const type = path.slice(1);
  if (port !== undefined) return `Request target "${scheme}://${name}" takes no port`;
  if (!/^[\w.-]{1,253}$/.test(name)) return `Not a name to ask for "${name}"`;
  if (!QUESTION_TYPES.includes(type)) {
    return `Not a type of record "${type}": want one of ${QUESTION_TYPES.join(', ')}`;
  }
  return { scheme, host: { kind: 'name', name }, port: 53, path: type };
}

function parseHost(host: string): TargetHost {
  if (host.startsWith('pod:')) return { kind: 'pod', pod: host.slice(4) };
  if (host.startsWith('node:')) return { kind: 'node', node: host.slice(5) };
  if (host === 'self') return { kind: 'self' };
  if (host === 'outside') return { kind: 'outside' };
  if (host.startsWith('[')) return { kind: 'address', address: host.slice(1, -1) };
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return { kind: 'address', address: host };
  return { kind: 'name', name: host };
}
