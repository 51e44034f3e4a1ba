import { readFile } from 'node:fs/promises';
import { arch, cpus, release, totalmem } from 'node:os';

/** What a result was made on: enough to judge whether another machine should see the same. */
export interface Machine {
  /** `Debian GNU/Linux 12 (bookworm)`, or `unknown`. */
  readonly system: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly node: string;
}

/** Reads it off the running machine; no name of a host or a person is in it. */
export async function describeMachine(): Promise<Machine> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1];
  return {
    system: name ?? 'unknown',
    kernel: release(),
    architecture: arch(),
    processors: cpus().length,
    memoryBytes: totalmem(),
    node: process.versions.node,
  };
}
