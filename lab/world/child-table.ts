import { spawn, type ChildProcess, type SpawnOptions, type StdioOptions } from 'node:child_process';
import { closeSync, fchownSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { withNetns } from '../../dataplane/kernel/netns.ts';
import { realtimeNs } from '../../dataplane/kernel/process.ts';
import { LabError } from './errors.ts';
import type { ProcessStatus } from './lab.ts';

export interface ChildSpec {
  readonly kind: ProcessStatus['kind'];
  /** Unique; also the name of its log file. */
  readonly name: string;
  readonly node: string;
  readonly netns: string;
  /** Descriptor of the namespace it is born in. */
  readonly netnsFd: number;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** With a channel for messages (`process.send`). */
  readonly ipc?: boolean;
  /** Whom it runs as; root when absent. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Files that it gets opened for appending, as descriptor 3 and those after it. */
  readonly files?: readonly string[];
}

/** One program of the lab, and what became of it. */
export interface Child {
  readonly spec: ChildSpec;
  readonly process: ChildProcess;
  readonly startedNs: string;
  state: ProcessStatus['state'];
  exit?: { readonly code: number | null; readonly signal: NodeJS.Signals | null };
  readonly exited: Promise<void>;
}

/** The programs a supervisor started, each with a log file of its own. */
export class ChildTable {
  readonly #logs: string;
  readonly #onExit: (child: Child) => void;
  readonly #children = new Map<string, Child>();

  /** @param logs Folder that gets one file a program. */
  constructor(logs: string, onExit: (child: Child) => void) {
    this.#logs = logs;
    this.#onExit = onExit;
  }

  /**
   * Starts a program inside a netns; a former one of the same name must have ended.
   *
   * @throws LabError LAB_PROGRAM_MISSING when it cannot be started at all.
   */
  async start(spec: ChildSpec): Promise<Child> {
    const log = openSync(join(this.#logs, `${spec.name}.log`), 'a', 0o600);
    const files = (spec.files ?? []).map((file) => openSync(file, 'a'));
    const stdio: StdioOptions = ['ignore', log, log, ...(spec.ipc ? ['ipc' as const] : files)];
    try {
      // A program that opens /dev/stdout anew is asked for the file's own permissions.
      if (spec.user) fchownSync(log, spec.user.uid, spec.user.gid);
      const options = { stdio, env: { ...spec.env }, ...spec.user };
      const started = spawnIn(spec.netnsFd, spec.argv, options);
      await waitForSpawn(started, spec);
      return this.#adopt(spec, started);
    } finally {
      for (const fd of [log, ...files]) closeSync(fd);
    }
  }

  get(name: string): Child | undefined {
    return this.#children.get(name);
  }

  /** The statuses of all, in the order of their first start. */
  statuses(): ProcessStatus[] {
    return [...this.#children.values()].map(({ spec, process: child, startedNs, state, exit }) => ({
      kind: spec.kind,
      name: spec.name,
      node: spec.node,
      netns: spec.netns,
      pid: state === 'exited' ? undefined : child.pid,
      state,
      exit,
      startedNs,
    }));
  }

  #adopt(spec: ChildSpec, started: ChildProcess): Child {
    const exited = new Promise<void>((resolve) => {
      started.once('exit', (code, signal) => {
        child.state = 'exited';
        child.exit = { code, signal };
        resolve();
        this.#onExit(child);
      });
    });
    const startedNs = realtimeNs().toString();
    const child: Child = { spec, process: started, startedNs, state: 'starting', exited };
    this.#children.set(spec.name, child);
    return child;
  }
}

/** A child process born in a netns, or at home without one. */
export function spawnIn(
  netnsFd: number | undefined,
  argv: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const [file = '', ...args] = argv;
  const go = (): ChildProcess => spawn(file, args, options);
  return netnsFd === undefined ? go() : withNetns(netnsFd, go);
}

function waitForSpawn(child: ChildProcess, spec: ChildSpec): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve());
    child.once('error', (cause) => {
      const what = spec.argv[0] ?? '';
      reject(
        new LabError('LAB_PROGRAM_MISSING', `Cannot start "${what}" as ${spec.name}`, { cause }),
      );
    });
  });
}
