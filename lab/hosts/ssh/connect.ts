import { spawn } from 'node:child_process';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { Client, type AuthenticationType, type NextAuthHandler } from 'ssh2';
import { parseSshConfig, settingsFor, type HostSettings } from './config.ts';
import { Connection } from './connection.ts';
import type { Destination } from './destination.ts';
import { SshError } from './errors.ts';
import { includedFrom, textOf } from './files.ts';
import { pinKey, readKnownHosts, refuseKey, wishedAlgorithms } from './host-key.ts';
import { findCredentials, type Credential } from './keys.ts';
import { knownHostName, linesOf } from './known-hosts.ts';

/** A machine to go to, with everything decided. */
export interface Route {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly settings: HostSettings;
  /** A private key that a person named. */
  readonly identity: string | undefined;
  /** Whether the first key that is seen of a host is written down and from then on the known one. */
  readonly pinsFirstKey?: boolean;
}

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long a silent connection counts as alive. */
  readonly silenceMs: number;
  /** For what a person may want to know. */
  readonly note: (text: string) => void;
}

/** A machine under emulation takes this long for a handshake. */
const READY_TIMEOUT_MS = 60_000;
const KEEPALIVES = 6;

/**
 * Decides where a destination is by ssh's own configuration (`~/.ssh/config`, then that of the system).
 *
 * @throws SshError LAB_BAD_SSH_CONFIG
 */
export function findRoute(destination: Destination, identity: string | undefined): Route {
  const home = homedir();
  const files = [join(home, '.ssh', 'config'), '/etc/ssh/ssh_config'];
  const settings = files.flatMap((file) =>
    parseSshConfig(textOf(file) ?? '', file, includedFrom(home)),
  );
  return routeBy(settingsFor(settings, destination.host), destination, identity);
}

/** The same by settings that are there already. */
export function routeBy(
  settings: HostSettings,
  { host, user, port }: Destination,
  identity: string | undefined,
): Route {
  return {
    host: settings.hostName ?? host,
    port: port ?? settings.port ?? 22,
    user: user ?? settings.user ?? userInfo().username,
    settings,
    identity,
  };
}

/**
 * Opens a connection. The host's key must be known before anything else is said.
 *
 * @throws SshError LAB_SSH_HOST_UNKNOWN, LAB_SSH_HOST_CHANGED, LAB_SSH_HOST_REVOKED, LAB_SSH_DENIED,
 *   LAB_SSH_UNREACHABLE, LAB_BAD_IDENTITY
 */
export async function connect(route: Route, options: ConnectOptions): Promise<Connection> {
  const { host, port, user, settings } = route;
  options.signal?.throwIfAborted();
  const tokens = { h: host, r: user, u: userInfo().username, n: host, p: String(port) };
  const credentials = findCredentials(settings, route.identity, process.env, tokens);
  for (const note of settings.notes) options.note(note);
  const known = readKnownHosts(settings.userKnownHostsFiles, settings.globalKnownHostsFiles);
  const name = knownHostName(settings.hostKeyAlias ?? host, settings.hostKeyAlias ? 22 : port);
  const file = settings.userKnownHostsFiles?.[0] ?? '~/.ssh/known_hosts';
  let refusal: SshError | undefined;
  const client = new Client();
  const abort = (): void => void client.destroy();
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    await ready(client, options.note, () =>
      client.connect({
        ...(settings.proxyCommand === undefined
          ? { host, port }
          : { sock: throughCommand(settings.proxyCommand, tokens) }),
        username: user,
        readyTimeout: READY_TIMEOUT_MS,
        keepaliveInterval: options.silenceMs / KEEPALIVES,
        keepaliveCountMax: KEEPALIVES,
        algorithms: { serverHostKey: wishedAlgorithms(known, name) as never },
        hostVerifier: (key: Buffer) => {
          if (route.pinsFirstKey === true && linesOf(known, name).length === 0) {
            pinKey(key, name, file, options.note);
            return true;
          }
          refusal = refuseKey(key, { known, name, file });
          return refusal === undefined;
        },
        authHandler: tryInTurn(credentials.tried, user),
      }),
    );
  } catch (cause) {
    client.destroy();
    options.signal?.throwIfAborted();
    throw refusal ?? describeFault(cause, route, credentials);
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
  return new Connection(client, host, options.signal);
}

/** @throws SshError for a hop that ssh alone can make. */
export function requireDirect({ settings }: Route): void {
  const { proxyJump, proxyCommand } = settings;
  if (proxyJump === undefined || proxyCommand !== undefined) return;
  throw new SshError(
    'LAB_CANNOT_RUN',
    `Cannot go there by ProxyJump "${proxyJump}": ssh2 makes one hop, a ProxyCommand was wished`,
    { hint: `The same in ~/.ssh/config: ProxyCommand ssh -W %h:%p ${proxyJump}` },
  );
}

/** An agent that does not answer is one way less, and no end. */
function ready(client: Client, note: ConnectOptions['note'], begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error & { readonly level?: string }): void => {
      if (error.level === 'agent') note(`The agent: ${error.message}`);
      else reject(error);
    };
    client.on('error', fail);
    client.once('close', () => reject(new Error('the connection was closed')));
    client.once('ready', () => {
      client.off('error', fail);
      resolve();
    });
    begin();
  });
}

/** Each credential once; ssh2 itself asks what the server takes. */
function tryInTurn(credentials: readonly Credential[], username: string) {
  const left = [...credentials];
  return (_methods: AuthenticationType[], _partial: boolean, next: NextAuthHandler): void => {
    const credential = left.shift();
    if (credential === undefined) next(false as never);
    else if (credential.kind === 'key') next({ type: 'publickey', username, key: credential.key });
    else next({ type: 'agent', username, agent: credential.agent });
  };
}

function throughCommand(command: string, tokens: Readonly<Record<string, string>>): Duplex {
  const filled = command.replaceAll(/%(.)/g, (_, token: string) =>
    token === '%' ? '%' : (tokens[token] ?? `%${token}`),
  );
  const child = spawn('/bin/sh', ['-c', `exec ${filled}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  return Duplex.from({ readable: child.stdout, writable: child.stdin });
}

function describeFault(
  cause: unknown,
  { host, port, user }: Route,
  { tried, notes }: { readonly tried: readonly Credential[]; readonly notes: readonly string[] },
): SshError {
  const { level, message } = cause as { readonly level?: string; readonly message: string };
  if (level === 'client-authentication') {
    const used = tried.map(({ from }) => from);
    return new SshError(
      'LAB_SSH_DENIED',
      `Cannot log in to "${host}" as ${user}: it takes none of our keys (${used.join(', ') || 'there are none'}), one of its authorized_keys was wished`,
      {
        hint: [...notes, `Give it yours: ssh-copy-id -p ${port} ${user}@${host}`].join('\n'),
        cause,
      },
    );
  }
  return new SshError(
    'LAB_SSH_UNREACHABLE',
    `Cannot reach "${host}" port ${port}: ${message}, an SSH server was wished there`,
    { cause },
  );
}
