/** Levels of a log line, least severe last. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';

const SEVERITY: Readonly<Record<LogLevel | 'off', number>> = {
  off: 0,
  error: 1,
  warn: 2,
  info: 3,
  debug: 4,
  trace: 5,
};

/**
 * A value of a log field. Text is quoted as Rust's `Debug` does; `bare` text (addresses) is not;
 * undefined is left out.
 */
export type LogValue = string | number | boolean | { readonly bare: string } | undefined;

export type LogFields = Readonly<Record<string, LogValue>>;

/** Parsed `RUST_LOG`: a default level and levels of scopes (`a::b` covers `a::b::c`). */
export interface LogFilter {
  readonly level: LogLevel | 'off';
  readonly scopes: ReadonlyMap<string, LogLevel | 'off'>;
}

const isLevel = (text: string): text is LogLevel | 'off' => Object.hasOwn(SEVERITY, text);

/** Reads `info,access=debug`; undefined when a directive is neither a level nor `scope=level`. */
export function parseLogFilter(text: string, base?: LogFilter): LogFilter | undefined {
  let level = base?.level ?? 'info';
  const scopes = new Map(base?.scopes);
  for (const directive of text.split(',').map((part) => part.trim())) {
    if (directive === '') continue;
    const [scope = '', scopeLevel] = directive.split('=');
    const wanted = (scopeLevel ?? scope).toLowerCase();
    if (!isLevel(wanted) || (scopeLevel !== undefined && !/^[\w:-]+$/.test(scope)))
      return undefined;
    if (scopeLevel === undefined) level = wanted;
    else scopes.set(scope.replace(/^ztunnel::/, ''), wanted);
  }
  return { level, scopes };
}

/** The filter as text, scopes first as ztunnel shows it on `/logging`. */
export function formatLogFilter(filter: LogFilter): string {
  return [...[...filter.scopes].map(([s, l]) => `${s}=${l}`), filter.level].join(',');
}

/** ztunnel's own default (`src/telemetry.rs`). */
export const DEFAULT_LOG_FILTER: LogFilter = {
  level: 'info',
  scopes: new Map([['hickory_server::server', 'off']]),
};

/** Text as Rust's `Debug` quotes it. */
export function debugQuote(text: string): string {
  // JSON escapes the same characters except \u{..}, which no value of ours holds unescaped.
  return JSON.stringify(text);
}

function formatValue(value: LogValue): string {
  if (typeof value === 'string') return debugQuote(value);
  return typeof value === 'object' ? value.bare : String(value);
}

/**
 * One line in ztunnel's plain format: time, level, scope, message and `k=v` fields, separated by
 * tabs (fields by spaces); without fields the last column is empty (`src/telemetry.rs`).
 */
export function plainLine(
  time: string,
  level: LogLevel,
  scope: string,
  message: string,
  fields: LogFields,
): string {
  let text = '';
  for (const key in fields) {
    const value = fields[key];
    if (value !== undefined) text += `${text && ' '}${key}=${formatValue(value)}`;
  }
  return `${time}\t${level}\t${scope}\t${message}\t${text}\n`;
}

/** One line in ztunnel's JSON format: `level`, `time`, `scope`, `message`, then flat fields. */
export function jsonLine(
  time: string,
  level: LogLevel,
  scope: string,
  message: string,
  fields: LogFields,
): string {
  const line: Record<string, string | number | boolean> = { level, time, scope, message };
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) line[key] = typeof value === 'object' ? value.bare : value;
  }
  return `${JSON.stringify(line)}\n`;
}

/** Where log lines go and what a clock says; both passed so that tests can watch them. */
export interface LoggerOptions {
  readonly format: 'plain' | 'json';
  readonly filter: LogFilter;
  readonly write: (text: string) => void;
  /** Microseconds since the Unix epoch. */
  readonly nowUs: () => number;
}

/** Clock of the log: the wall clock with the process clock's microseconds. */
export function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/** RFC 3339 in UTC with microseconds. */
export function formatTimeUs(us: number): string {
  const seconds = Math.floor(us / 1_000_000);
  const micros = String(us - seconds * 1_000_000).padStart(6, '0');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${micros}Z`;
}

/** Spans carry names, so there may be many scopes. */
const MOST_KNOWN_SCOPES = 256;

const FLUSH_BYTES = 64 * 1024;
/** Lines wait that long for company: each write is a system call. */
const FLUSH_MS = 5;

/**
 * Writes lines in the order of the calls, in batches of some milliseconds. `flush()` writes what is
 * pending; the filter can be changed while running.
 */
export class Logger implements Disposable {
  filter: LogFilter;
  readonly #options: LoggerOptions;
  /** Levels of scopes asked for, under `#knownFilter`. */
  readonly #known = new Map<string, LogLevel | 'off'>();
  #knownFilter: LogFilter | undefined;
  #pending = '';
  #scheduled: NodeJS.Timeout | undefined;

  constructor(options: LoggerOptions) {
    this.#options = options;
    this.filter = options.filter;
  }

  /** Whether a line of that scope and level would be written: ask before building costly fields. */
  isEnabled(level: LogLevel, scope: string): boolean {
    return SEVERITY[level] <= SEVERITY[this.#levelOf(scope)];
  }

  log(level: LogLevel, scope: string, message: string, fields: LogFields = {}): void {
    if (!this.isEnabled(level, scope)) return;
    const time = formatTimeUs(this.#options.nowUs());
    const line = this.#options.format === 'json' ? jsonLine : plainLine;
    this.#pending += line(time, level, scope, message, fields);
    if (this.#pending.length >= FLUSH_BYTES) this.flush();
    else this.#scheduled ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  info(scope: string, message: string, fields?: LogFields): void {
    this.log('info', scope, message, fields);
  }

  warn(scope: string, message: string, fields?: LogFields): void {
    this.log('warn', scope, message, fields);
  }

  error(scope: string, message: string, fields?: LogFields): void {
    this.log('error', scope, message, fields);
  }

  debug(scope: string, message: string, fields?: LogFields): void {
    this.log('debug', scope, message, fields);
  }

  flush(): void {
    clearTimeout(this.#scheduled);
    this.#scheduled = undefined;
    const text = this.#pending;
    this.#pending = '';
    if (text) this.#options.write(text);
  }

  [Symbol.dispose](): void {
    this.flush();
  }

  #levelOf(scope: string): LogLevel | 'off' {
    if (this.#knownFilter !== this.filter || this.#known.size > MOST_KNOWN_SCOPES) {
      this.#known.clear();
      this.#knownFilter = this.filter;
    }
    let level = this.#known.get(scope);
    if (level === undefined) {
      level = this.#findLevel(scope);
      this.#known.set(scope, level);
    }
    return level;
  }

  #findLevel(scope: string): LogLevel | 'off' {
    const { scopes, level } = this.filter;
    if (scopes.size === 0) return level;
    // Spans (`drain:proxy{…}`) are no part of the target a directive names.
    let name = scope.replace(/(?<!:):(?!:).*$/, '');
    for (;;) {
      const found = scopes.get(name);
      if (found) return found;
      const cut = name.lastIndexOf('::');
      if (cut < 0) return scopes.get('ztunnel') ?? level;
      name = name.slice(0, cut);
    }
  }
}
