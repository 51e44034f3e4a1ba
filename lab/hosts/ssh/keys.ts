import { homedir } from 'node:os';
// The package is CommonJS: Node finds only some of its names by itself.
import ssh2, { type OpenSSHAgent, type ParsedKey } from 'ssh2';
import type { HostSettings } from './config.ts';
import { SshError } from './errors.ts';
import { expandPath, textOf } from './files.ts';

/** One way to prove who we are, in the order in which they are tried. */
export type Credential =
  | { readonly kind: 'agent'; readonly agent: OpenSSHAgent; readonly from: string }
  | { readonly kind: 'key'; readonly key: ParsedKey; readonly from: string };

export interface Credentials {
  readonly tried: readonly Credential[];
  /** Keys that are there and cannot be used, and why. */
  readonly notes: readonly string[];
}

/** What ssh looks for when nothing is said (ssh_config(5), IdentityFile), as far as ssh2 can use it. */
const DEFAULT_FILES = ['~/.ssh/id_rsa', '~/.ssh/id_ecdsa', '~/.ssh/id_ed25519'];

/**
 * Collects keys: those that were asked for, then the agent's, then those of the configuration or of
 * ssh's usual places. `IdentitiesOnly` leaves of the agent's only those that are named.
 *
 * @throws SshError LAB_BAD_IDENTITY for a named file that holds no private key
 */
export function findCredentials(
  settings: HostSettings,
  wished: string | undefined,
  env: NodeJS.ProcessEnv,
  tokens: Readonly<Record<string, string>>,
  home: string = homedir(),
): Credentials {
  const notes: string[] = [];
  const first = wished === undefined ? [] : requireKey(wished, notes);
  const configured = settings.identityFiles.length > 0 ? settings.identityFiles : DEFAULT_FILES;
  const files = configured.map((file) => expandPath(file, home, tokens));
  const keys = files.flatMap((file) => readKey(file, notes));
  const named = [...(wished === undefined ? [] : [wished]), ...files];
  const agent = findAgent(settings, env, named, home);
  return { tried: [...first, ...agent, ...keys], notes };
}

function requireKey(file: string, notes: string[]): readonly Credential[] {
  if (textOf(file) !== undefined) return readKey(file, notes);
  throw new SshError(
    'LAB_BAD_IDENTITY',
    `Cannot read "${file}": no such file, or not ours to read; a private key was wished`,
  );
}

function readKey(file: string, notes: string[]): readonly Credential[] {
  const text = textOf(file);
  if (text === undefined) return [];
  const parsed = ssh2.utils.parseKey(text);
  if (parsed instanceof Error) {
    notes.push(
      /passphrase/i.test(parsed.message)
        ? `${file} has a passphrase: \`ssh-add ${file}\` gives it to the agent, which is asked here`
        : `${file} cannot be used: ${parsed.message}`,
    );
    return [];
  }
  return parsed.isPrivateKey() ? [{ kind: 'key', key: parsed, from: file }] : [];
}

function findAgent(
  settings: HostSettings,
  env: NodeJS.ProcessEnv,
  files: readonly string[],
  home: string,
): readonly Credential[] {
  const named = settings.identityAgent;
  if (named === 'none') return [];
  const path =
    named === undefined || named === 'SSH_AUTH_SOCK'
      ? env['SSH_AUTH_SOCK']
      : expandPath(named.startsWith('$') ? (env[named.slice(1)] ?? '') : named, home);
  if (path === undefined || path === '') return [];
  const agent = settings.identitiesOnly
    ? new NamedKeysOnly(path, files.flatMap(publicBlobs))
    : new ssh2.OpenSSHAgent(path);
  return [{ kind: 'agent', agent, from: `agent ${path}` }];
}

/** The public half of a key is beside it, and not secret even when the key itself is encrypted. */
function publicBlobs(file: string): readonly Buffer[] {
  const text = textOf(file.endsWith('.pub') ? file : `${file}.pub`);
  const parsed = text === undefined ? undefined : ssh2.utils.parseKey(text);
  if (parsed === undefined || parsed instanceof Error) return [];
  return [parsed.getPublicSSH()];
}

/** An agent of whose keys only some are seen. */
class NamedKeysOnly extends ssh2.OpenSSHAgent {
  readonly #blobs: readonly Buffer[];

  constructor(path: string, blobs: readonly Buffer[]) {
    super(path);
    this.#blobs = blobs;
  }

  override getIdentities(answer: Parameters<OpenSSHAgent['getIdentities']>[0]): void {
    super.getIdentities((error, keys) => {
      if (error) return answer(error);
      const isNamed = (blob: Buffer) => this.#blobs.some((named) => named.equals(blob));
      answer(
        undefined,
        keys?.filter((key) => 'getPublicSSH' in key && isNamed(key.getPublicSSH())),
      );
    });
  }
}
