import { appendFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { describePosition, SshError } from './errors.ts';
import { expandPath, textOf } from './files.ts';
import {
  fingerprint,
  judgeKey,
  keyTypeOf,
  linesOf,
  parseKnownHosts,
  type KnownHost,
  type KnownHosts,
} from './known-hosts.ts';

/** Signature algorithms of each type of key (RFC 8332 for RSA), the most trusted type first. */
const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

const USER_FILES = ['~/.ssh/known_hosts', '~/.ssh/known_hosts2'];
const GLOBAL_FILES = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'];

/** Reads the files of known hosts, those of ssh unless others are named. */
export function readKnownHosts(
  userFiles: readonly string[] = USER_FILES,
  globalFiles: readonly string[] = GLOBAL_FILES,
  home: string = homedir(),
): KnownHosts {
  const read = [...userFiles, ...globalFiles].map((name) => {
    const file = expandPath(name, home);
    return parseKnownHosts(textOf(file) ?? '', file);
  });
  return {
    entries: read.flatMap(({ entries }) => entries),
    faults: read.flatMap(({ faults }) => faults),
  };
}

/**
 * What a server is asked to prove itself with: types of its known keys first, or it would show
 * another one that nobody knows.
 */
export function wishedAlgorithms(known: KnownHosts, name: string): readonly string[] {
  const types = linesOf(known, name).map(({ keyType }) => keyType);
  const order = [...new Set([...types, ...Object.keys(ALGORITHMS)])];
  return order.flatMap((type) => ALGORITHMS[type] ?? []);
}

/** The file that a refusal names for adding a key. */
export interface HostKeyContext {
  readonly known: KnownHosts;
  /** As the files have it: `host`, or `[host]:port`. */
  readonly name: string;
  readonly file: string;
}

/** Why a host with this key is not talked to; undefined when the key is known. */
export function refuseKey(key: Buffer, context: HostKeyContext): SshError | undefined {
  const { known, name } = context;
  const verdict = judgeKey(known, name, key);
  switch (verdict.kind) {
    case 'known':
      return undefined;
    case 'revoked':
      return new SshError(
        'LAB_SSH_HOST_REVOKED',
        `Cannot trust "${name}": its key ${shown(key)} is revoked in ${placeOf(verdict.by)}`,
        { hint: 'Nothing was sent. Whoever runs that machine has to give it another key.' },
      );
    case 'changed':
      return new SshError('LAB_SSH_HOST_CHANGED', changedText(key, name, verdict.was), {
        hint: changedHint(name, verdict.was),
      });
    case 'unknown':
      return new SshError(
        'LAB_SSH_HOST_UNKNOWN',
        `Cannot trust "${name}": its key ${shown(key)} is not known, one of a file of known hosts was wished`,
        { hint: unknownHint(key, context, verdict.otherTypes) },
      );
  }
}

/** Writes a key down as the known one of a host, and says so. */
export function pinKey(
  key: Buffer,
  name: string,
  file: string,
  note: (text: string) => void,
): void {
  appendFileSync(file, `${name} ${keyTypeOf(key)} ${key.toString('base64')}\n`);
  note(`Its key ${shown(key)} is from now on the only one that is taken of it (${file})`);
}

function changedText(key: Buffer, name: string, was: readonly KnownHost[]): string {
  const knownOnes = was.map((line) => `${fingerprint(line.key)} (${placeOf(line)})`);
  return (
    `HOST KEY CHANGED. Cannot trust "${name}": it shows ${shown(key)}, ` +
    `known is ${knownOnes.join(' and ')}. Somebody may be listening in between, or the machine was made anew`
  );
}

function changedHint(name: string, was: readonly KnownHost[]): string {
  const [file = ''] = was.map(({ at }) => at.file);
  return (
    'Nothing was sent. Ask whoever runs that machine. Only if it has a new key for a good reason:\n' +
    `  ssh-keygen -f '${file}' -R '${name}'`
  );
}

function unknownHint(
  key: Buffer,
  { known, name, file }: HostKeyContext,
  otherTypes: readonly KnownHost[],
): string {
  const type = keyTypeOf(key);
  const others = otherTypes.map(
    (line) => `Known of it: ${line.keyType} ${fingerprint(line.key)} (${placeOf(line)})\n`,
  );
  const faults = known.faults.map(
    ({ at, text }) => `Passed over: ${describePosition(at)}: ${text}\n`,
  );
  return (
    `Nothing was sent. ${others.join('')}${faults.join('')}Compare with what that machine itself says:\n` +
    `  ssh-keygen -l -f ${publicKeyFile(type)}\n` +
    'and when the fingerprints are the same, make the key known:\n' +
    `  echo '${name} ${type} ${key.toString('base64')}' >> ${file}`
  );
}

function publicKeyFile(type: string): string {
  const short = type === 'ssh-rsa' ? 'rsa' : type.startsWith('ecdsa') ? 'ecdsa' : 'ed25519';
  return `/etc/ssh/ssh_host_${short}_key.pub`;
}

function shown(key: Buffer): string {
  return `${keyTypeOf(key)} ${fingerprint(key)}`;
}

function placeOf({ at }: KnownHost): string {
  return describePosition(at);
}
