import { badConfig, readConfigLines, type ConfigLine, type ConfigWord } from './config-words.ts';
import { describePosition, type Position } from './errors.ts';
import { matchesPatterns } from './patterns.ts';

/** One setting with all that has to hold for it, in the order of the files. */
export interface Setting extends ConfigLine {
  readonly conditions: readonly Condition[];
}

/** A line `Host` or `Match` above a setting. */
export type Condition =
  | { readonly kind: 'always' }
  /** The name that a person wrote. */
  | { readonly kind: 'alias'; readonly patterns: readonly string[] }
  /** The name after `HostName`. */
  | { readonly kind: 'host'; readonly patterns: readonly string[] }
  /** One that is not evaluated here; what stands below it does not count. */
  | { readonly kind: 'not-read'; readonly at: Position; readonly text: string };

/** What ssh's configuration says of one host; undefined where it says nothing. */
export interface HostSettings {
  readonly hostName: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** A socket, `SSH_AUTH_SOCK`, or `none`. */
  readonly identityAgent: string | undefined;
  readonly hostKeyAlias: string | undefined;
  readonly userKnownHostsFiles: readonly string[] | undefined;
  readonly globalKnownHostsFiles: readonly string[] | undefined;
  readonly proxyCommand: string | undefined;
  readonly proxyJump: string | undefined;
  /** What was passed over, for a person to read. */
  readonly notes: readonly string[];
}

/** Files that an `Include` means, with their texts; none for a pattern without files. */
export type ReadIncluded = (
  pattern: string,
) => readonly { readonly file: string; readonly text: string }[];

/** As deep as OpenSSH follows (readconf.c, READCONF_MAX_DEPTH). */
const MAX_DEPTH = 16;

/**
 * Reads a file of ssh_config(5) and what it includes into settings with their conditions.
 *
 * @throws SshError LAB_BAD_SSH_CONFIG with file, line and column
 */
export function parseSshConfig(
  text: string,
  file: string,
  readIncluded: ReadIncluded = () => [],
  outer: readonly Condition[] = [],
  depth = 0,
): readonly Setting[] {
  const settings: Setting[] = [];
  let inner: readonly Condition[] = [];
  for (const line of readConfigLines(text, file)) {
    const conditions = [...outer, ...inner];
    if (line.keyword === 'host') {
      inner = [{ kind: 'alias', patterns: line.words.map((word) => word.text) }];
    } else if (line.keyword === 'match') {
      inner = conditionsOf(line);
    } else if (line.keyword === 'include') {
      if (depth >= MAX_DEPTH) throw badConfig(line.at, `${MAX_DEPTH} files include another, fewer`);
      for (const { text: pattern } of line.words)
        for (const found of readIncluded(pattern))
          settings.push(
            ...parseSshConfig(found.text, found.file, readIncluded, conditions, depth + 1),
          );
    } else {
      settings.push({ ...line, conditions });
    }
  }
  return settings;
}

/**
 * What the settings mean for a host. As in OpenSSH the first value of a keyword counts, identity files
 * add up.
 *
 * @throws SshError LAB_BAD_SSH_CONFIG for a value that is none, with file, line and column
 */
export function settingsFor(settings: readonly Setting[], alias: string): HostSettings {
  const first = new Map<string, Setting>();
  const identityFiles: string[] = [];
  const notes = new Set<string>();
  for (const setting of settings) {
    const hostName = first.get('hostname')?.words[0]?.text.replaceAll('%h', alias) ?? alias;
    if (!setting.conditions.every((condition) => holds(condition, alias, hostName, notes)))
      continue;
    if (setting.keyword === 'identityfile') identityFiles.push(setting.words[0]?.text ?? '');
    else if (!first.has(setting.keyword)) first.set(setting.keyword, setting);
  }
  return { ...settingsOf(first, alias), identityFiles, notes: [...notes] };
}

function settingsOf(
  first: ReadonlyMap<string, Setting>,
  alias: string,
): Omit<HostSettings, 'identityFiles' | 'notes'> {
  const texts = (keyword: string) => first.get(keyword)?.words.map(({ text }) => text);
  const text = (keyword: string) => texts(keyword)?.[0];
  const port = first.get('port')?.words[0];
  const only = first.get('identitiesonly')?.words[0];
  const command = texts('proxycommand')?.join(' ');
  return {
    hostName: text('hostname')?.replaceAll('%h', alias),
    port: port && readPort(port),
    user: text('user'),
    identitiesOnly: only !== undefined && readYes(only),
    identityAgent: text('identityagent'),
    hostKeyAlias: text('hostkeyalias'),
    userKnownHostsFiles: texts('userknownhostsfile'),
    globalKnownHostsFiles: texts('globalknownhostsfile'),
    proxyCommand: command === 'none' ? undefined : command,
    proxyJump: text('proxyjump') === 'none' ? undefined : text('proxyjump'),
  };
}

/** `Match` with `all`, `host` and `originalhost`; others would need what ssh alone knows. */
function conditionsOf({ at, words }: ConfigLine): readonly Condition[] {
  const conditions: Condition[] = [];
  for (let index = 0; index < words.length; index++) {
    const criterion = words[index]?.text.toLowerCase() ?? '';
    if (criterion === 'all') conditions.push({ kind: 'always' });
    else if (criterion === 'host' || criterion === 'originalhost') {
      const patterns = words[++index];
      if (!patterns) throw badConfig(at, `"Match ${criterion}" has no patterns, a list of them`);
      const kind = criterion === 'host' ? 'host' : 'alias';
      conditions.push({ kind, patterns: patterns.text.split(',') });
    } else {
      return [{ kind: 'not-read', at, text: `Match ${words.map(({ text }) => text).join(' ')}` }];
    }
  }
  return conditions;
}

function holds(condition: Condition, alias: string, host: string, notes: Set<string>): boolean {
  switch (condition.kind) {
    case 'always':
      return true;
    case 'alias':
      return matchesPatterns(alias, condition.patterns);
    case 'host':
      return matchesPatterns(host, condition.patterns);
    case 'not-read':
      notes.add(
        `${describePosition(condition.at)}: "${condition.text}" is not read here, nor what it holds`,
      );
      return false;
  }
}

function readPort({ text, at }: ConfigWord): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw badConfig(at, `"${text}" is no port, a number from 1 to 65535`);
}

function readYes({ text, at }: ConfigWord): boolean {
  if (/^(yes|true)$/i.test(text)) return true;
  if (/^(no|false)$/i.test(text)) return false;
  throw badConfig(at, `IdentitiesOnly is "${text}", "yes" or "no"`);
}
