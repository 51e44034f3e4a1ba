import { ConfigError } from './config-error.ts';
import { parseDurationMs } from './duration.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** Typed access to an environment; every fault names variable, value and what is wanted. */
export class EnvReader {
  readonly env: Env;
  constructor(env: Env) {
    this.env = env;
  }

  text(name: string): string | undefined {
    return this.env[name];
  }

  /** The value, with the empty string taken for unset. */
  nonEmpty(name: string): string | undefined {
    return this.env[name] || undefined;
  }

  boolean(name: string): boolean | undefined {
    const value = this.nonEmpty(name);
    if (value === undefined) return undefined;
    if (value !== 'true' && value !== 'false') throw new ConfigError(name, value, 'true or false');
    return value === 'true';
  }

  integer(name: string, min: number, max: number): number | undefined {
    const value = this.nonEmpty(name);
    if (value === undefined) return undefined;
    const number = /^\d+$/.test(value) ? Number(value) : NaN;
    if (!(number >= min && number <= max)) {
      throw new ConfigError(name, value, `a whole number from ${min} to ${max}`);
    }
    return number;
  }

  durationMs(name: string): number | undefined {
    const value = this.nonEmpty(name);
    if (value === undefined) return undefined;
    const ms = parseDurationMs(value);
    if (ms === undefined) throw new ConfigError(name, value, 'a duration such as 500ms, 5s or 5m');
    return ms;
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.nonEmpty(name);
    if (value === undefined) return undefined;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw new ConfigError(name, value, `one of ${choices.join(', ')}`);
    return found;
  }
}
