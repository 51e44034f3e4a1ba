import type { Container } from './objects.ts';

/** What a container is here: a built-in app, a process of this machine, or one that only waits. */
export type ContainerProgram =
  | { readonly kind: 'http' | 'tcp-echo' | 'udp-echo'; readonly ports: readonly number[] }
  | { readonly kind: 'idle' }
  | { readonly kind: 'command'; readonly argv: readonly string[] };

interface KnownImage {
  readonly app: 'http' | 'tcp-echo' | 'udp-echo' | 'idle';
  /** Port the image listens on when the container names none. */
  readonly port: number;
  /** Names of the server inside, for manifests that spell its command out. */
  readonly server: readonly string[];
}

const IDLE: KnownImage = { app: 'idle', port: 0, server: [] };

/** Repositories without registry and tag; what is listed is served by a built-in of the lab. */
const KNOWN_IMAGES: Readonly<Record<string, KnownImage>> = {
  'ambient-lab/http': { app: 'http', port: 8080, server: [] },
  'ambient-lab/tcp-echo': { app: 'tcp-echo', port: 9000, server: [] },
  'ambient-lab/udp-echo': { app: 'udp-echo', port: 9000, server: [] },
  'ambient-lab/idle': IDLE,
  'kennethreitz/httpbin': { app: 'http', port: 80, server: ['gunicorn'] },
  'kong/httpbin': { app: 'http', port: 80, server: ['gunicorn'] },
  'mccutchen/go-httpbin': { app: 'http', port: 8080, server: ['go-httpbin'] },
  'hashicorp/http-echo': { app: 'http', port: 5678, server: ['http-echo'] },
  'istio/examples-helloworld-v1': { app: 'http', port: 5000, server: [] },
  'istio/examples-helloworld-v2': { app: 'http', port: 5000, server: [] },
  'istio/tcp-echo-server': { app: 'tcp-echo', port: 9000, server: ['tcp-echo'] },
  'curlimages/curl': IDLE,
  'governmentpaas/curl-ssl': IDLE,
  'nicolaka/netshoot': IDLE,
  busybox: IDLE,
  alpine: IDLE,
  pause: IDLE,
};

/** Images by name, for messages; any repository that ends in `/sleep` is known too. */
export const KNOWN_IMAGE_NAMES: readonly string[] = [...Object.keys(KNOWN_IMAGES), '*/sleep'];

/**
 * What a container runs. A `command` is a program of this machine whatever the image, except the
 * usual ways to wait and the own server of a known image. `undefined` for an unknown image without
 * a command: nothing is pulled here.
 */
export function programOf(container: Container): ContainerProgram | undefined {
  const argv = [...(container.command ?? []), ...(container.args ?? [])];
  const image = knownImage(container.image ?? '');
  const command = container.command?.[0]?.split('/').at(-1);
  if (command !== undefined && !image?.server.includes(command)) {
    return isIdle(argv) ? { kind: 'idle' } : { kind: 'command', argv };
  }
  if (!image) return undefined;
  if (image.app === 'idle') return { kind: 'idle' };
  return { kind: image.app, ports: portsOf(container, image, argv) };
}

/** `docker.io/library/busybox:1.36@sha256:…` is `busybox`. */
export function repositoryOf(image: string): string {
  const parts = image.replace(/@.*$/, '').split('/');
  if (parts.length > 1 && /[.:]|^localhost$/.test(parts[0]!)) parts.shift();
  if (parts.length > 1 && parts[0] === 'library') parts.shift();
  const last = parts.pop() ?? '';
  return [...parts, last.replace(/:.*$/, '')].join('/');
}

function knownImage(image: string): KnownImage | undefined {
  const repository = repositoryOf(image);
  if (Object.hasOwn(KNOWN_IMAGES, repository)) return KNOWN_IMAGES[repository];
  return repository.endsWith('/sleep') ? IDLE : undefined;
}

/** `sleep …`, `tail -f /dev/null`, or a shell that does only that. */
function isIdle(argv: readonly string[]): boolean {
  const program = argv[0]?.split('/').at(-1);
  if (program === 'sleep' || program === 'pause') return true;
  if (program === 'tail') return argv.at(-1) === '/dev/null';
  if (program !== 'sh' && program !== 'bash') return false;
  return /^\s*(while true; do )?sleep [^;&|]+(; done;?)?\s*$/.test(argv.at(-1) ?? '');
}

function portsOf(container: Container, image: KnownImage, argv: readonly string[]): number[] {
  const bound = image.server.length > 0 ? argv.map((arg) => /:(\d{1,5})$/.exec(arg)?.[1]) : [];
  const spelled = bound.filter((port) => port !== undefined).map(Number);
  if (spelled.length > 0) return spelled;
  const protocol = image.app === 'udp-echo' ? 'UDP' : 'TCP';
  const declared = (container.ports ?? [])
    .filter((port) => (port.protocol ?? 'TCP') === protocol)
    .map((port) => port.containerPort);
  return declared.length > 0 ? [...new Set(declared)] : [image.port];
}
