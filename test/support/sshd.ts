import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

export const SSHD = '/usr/sbin/sshd';
const ROOT = join(import.meta.dirname, '..', '..');

/** Why there can be no SSH server here; undefined when there can. */
export function missingForSshd(): string | undefined {
  return existsSync(SSHD) ? undefined : `${SSHD} missing: apt-get install openssh-server`;
}

/** A host's public key, as known_hosts and `ssh-keygen -l` have it. */
export interface HostKey {
  readonly line: string;
  readonly fingerprint: string;
}

/** A person's folder here: keys, known hosts, results. */
export interface Person {
  readonly home: string;
  readonly knownHosts: string;
}

export function makeKey(file: string): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file]);
}

/** The fingerprint is that of ssh-keygen, which shares no code with us. */
export function readHostKey(file: string, name: string): HostKey {
  const [type = '', key = ''] = readFileSync(`${file}.pub`, 'utf8').split(' ');
  const said = execFileSync('ssh-keygen', ['-l', '-f', `${file}.pub`], { encoding: 'utf8' });
  return { line: `${name} ${type} ${key}\n`, fingerprint: said.split(' ')[1] ?? '' };
}

/** Somebody who knows that host and may log in there; either can be taken back. */
export function makePerson(home: string, key: string, hostKey: HostKey): Person {
  mkdirSync(join(home, '.ssh'), { recursive: true });
  const knownHosts = join(home, '.ssh', 'known_hosts');
  writeFileSync(knownHosts, hostKey.line);
  copyFileSync(key, join(home, '.ssh', 'id_ed25519'));
  chmodSync(join(home, '.ssh', 'id_ed25519'), 0o600);
  return { home, knownHosts };
}

/** Nothing of whoever runs the tests: no agent, no keys, no known hosts. */
export function environmentOf({ home }: Person): Record<string, string> {
  return { HOME: home, SSH_AUTH_SOCK: '', AMBIENT_LAB_ROOT: ROOT };
}

/** Lines of sshd_config for a server that takes keys and nothing else. */
export function sshdConfig(
  { host, port }: { readonly host: string; readonly port: number },
  files: { readonly hostKey: string; readonly authorizedKeys: string },
): readonly string[] {
  return [
    `Port ${port}`,
    `ListenAddress ${host}`,
    `HostKey ${files.hostKey}`,
    `AuthorizedKeysFile ${files.authorizedKeys}`,
    'PidFile none',
    'UsePAM no',
    // Folders of /tmp are everybody's.
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin yes',
    '',
  ];
}
