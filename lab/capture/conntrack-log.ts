import { closeSync, openSync, writeSync } from 'node:fs';
import { watchConntrack, type ConntrackWatch } from '../../dataplane/kernel/conntrack.ts';
import { realtimeNs } from '../../dataplane/kernel/process.ts';
import type { ConntrackEvent } from './layout.ts';

const FLUSH_CHARACTERS = 64 << 10;

/**
 * The conntrack events of many namespaces in one file of `ConntrackEvent` lines, in the order they
 * were read; times are those of reading.
 */
export class ConntrackLog implements Disposable {
  readonly #file: number;
  readonly #watches = new Map<string, ConntrackWatch>();
  #lines = '';
  #events = 0;
  #overruns = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w', 0o644);
  }

  get events(): number {
    return this.#events;
  }

  /** Times the kernel dropped events because they were not read in time. */
  get overruns(): number {
    return this.#overruns;
  }

  /** Follows the namespace from now on. @throws {KernelError} */
  add(netns: string, fd: number): void {
    const watch = watchConntrack({
      netns: fd,
      onChange: ({ event, protocol, original, reply, mark, zone }) => {
        const timeNs = realtimeNs().toString();
        this.#append({ timeNs, netns, event, protocol, original, reply, mark, zone });
      },
      onOverrun: () => this.#overruns++,
    });
    this.#watches.set(netns, watch);
  }

  /** Takes what is pending of one namespace and lets go of it. */
  remove(netns: string): void {
    const watch = this.#watches.get(netns);
    watch?.drain();
    watch?.[Symbol.dispose]();
    this.#watches.delete(netns);
  }

  /** All events that the kernel has told are in the file afterwards. */
  flush(): void {
    for (const watch of this.#watches.values()) watch.drain();
    this.#write();
  }

  [Symbol.dispose](): void {
    for (const netns of [...this.#watches.keys()]) this.remove(netns);
    this.#write();
    closeSync(this.#file);
  }

  #append(event: ConntrackEvent): void {
    this.#events++;
    this.#lines += `${JSON.stringify(event)}\n`;
    if (this.#lines.length > FLUSH_CHARACTERS) this.#write();
  }

  #write(): void {
    const bytes = Buffer.from(this.#lines);
    this.#lines = '';
    for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
  }
}
