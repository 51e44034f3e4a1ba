import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { EnrolRequest } from './api.ts';
import { parseEnrolRequest } from './api-schema.ts';

type Entry = { readonly enrol: EnrolRequest } | { readonly leave: string };

/**
 * The pods that were enrolled when the agent ended, however it ended: one JSON line a change. Stands
 * in for the annotations that upstream keeps in the API server; without it a restarted agent would
 * send ztunnel an empty snapshot and so stop every proxy.
 */
export class Journal {
  readonly #path: string | undefined;
  /** The pods to adopt, as they were last written. */
  readonly initial: readonly EnrolRequest[];

  /** Reads the file (absent: no pods) and writes it anew without what is over. No path: no file. */
  constructor(path: string | undefined) {
    this.#path = path;
    this.initial = path === undefined ? [] : [...replay(path).values()];
    if (path === undefined) return;
    const temporary = `${path}.new`;
    writeFileSync(temporary, this.initial.map((enrol) => line({ enrol })).join(''), {
      mode: 0o600,
    });
    renameSync(temporary, path);
  }

  enrolled(enrol: EnrolRequest): void {
    this.#append({ enrol });
  }

  left(uid: string): void {
    this.#append({ leave: uid });
  }

  #append(entry: Entry): void {
    if (this.#path !== undefined) appendFileSync(this.#path, line(entry));
  }
}

function line(entry: Entry): string {
  return `${JSON.stringify(entry)}\n`;
}

function replay(path: string): Map<string, EnrolRequest> {
  const pods = new Map<string, EnrolRequest>();
  for (const text of readLines(path)) {
    const entry = readEntry(text);
    if (entry === undefined) continue;
    if ('leave' in entry) pods.delete(entry.leave);
    else pods.set(entry.enrol.uid, entry.enrol);
  }
  return pods;
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** One entry; nothing for the half line of an agent that was killed while it wrote. */
function readEntry(text: string): Entry | undefined {
  try {
    const value = JSON.parse(text) as { enrol?: unknown; leave?: unknown };
    if (typeof value.leave === 'string') return { leave: value.leave };
    return { enrol: parseEnrolRequest(value.enrol) };
  } catch {
    return undefined;
  }
}
