import { cpus } from 'node:os';

/** What a benchmark says when it cannot go on, and with which exit code. */
export class BenchCommand {
  readonly #what: string;

  /** @param what what it measures, as in "Cannot measure <what>" */
  constructor(what: string) {
    this.#what = what;
  }

  /** Ends the process: 2 for bad options, 3 when this machine cannot run it. */
  end(code: 2 | 3, why: string): never {
    process.stderr.write(`Cannot measure ${this.#what}: ${why}\n`);
    process.exit(code);
  }

  /** Ends the process with 3 where namespaces cannot be made. */
  requireRoot(): void {
    if (process.getuid?.() !== 0) this.end(3, 'it makes network namespaces, which needs root');
  }

  /** A whole number of an option; another text ends the process with 2. */
  count(name: string, text: string, least: number, most: number): number {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) {
      return value;
    }
    return this.end(2, `--${name} has "${text}", ${least} to ${most} is wished`);
  }
}

/** A figure of a table with three digits, or whole where it is large; nothing for none. */
export function figureText(value: number | undefined): string {
  if (value === undefined) return '';
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

/** The processors that figures are of. */
export function machineText(): string {
  return `${cpus().length} CPUs, ${cpus()[0]?.model}`;
}
