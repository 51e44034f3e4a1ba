import { Listr, ListrLogger, type ListrTask, ProcessOutput } from 'listr2';
import type { Progress, ProgressStep } from '../world/lab.ts';
import type { Output } from './output.ts';

const NARROWEST = 20;

const STEPS: readonly ProgressStep[] = [
  'supervisor',
  'namespaces',
  'links',
  'rules',
  'processes',
  'sidecars',
  'enrol',
  'apps',
  'ready',
];

const TITLES: Readonly<Record<ProgressStep, string>> = {
  supervisor: 'Supervisor in namespaces of its own',
  namespaces: 'Network namespaces',
  links: 'Links, addresses, routes',
  rules: 'Service rules on the nodes',
  processes: 'Node agents, ztunnels, app hosts',
  sidecars: 'Sidecars',
  enrol: 'Enrolment',
  apps: 'Apps',
  ready: 'Ready',
};

/**
 * Shows a build as a task list on stderr while it goes on: live on a terminal, one plain line a
 * step elsewhere, nothing with `--json`.
 */
export async function followBuild<T>(
  output: Output,
  build: (onProgress: (progress: Progress) => void) => Promise<T>,
): Promise<T> {
  if (output.json) return build(() => {});
  if (!canShowLive()) return build((progress) => plainLine(output, progress));
  return followLive(build);
}

/** A terminal that can move its cursor and has room for a line; some pseudo-terminals have no width. */
function canShowLive(): boolean {
  const { isTTY, columns } = process.stderr;
  return isTTY && process.env['TERM'] !== 'dumb' && columns >= NARROWEST;
}

function plainLine(output: Output, progress: Progress): void {
  if (progress.state !== 'done') return;
  output.note(
    `${String(Math.round(progress.ms)).padStart(6)} ms  ${TITLES[progress.step]}: ${progress.text}`,
  );
}

async function followLive<T>(build: (onProgress: (p: Progress) => void) => Promise<T>): Promise<T> {
  const steps = new Map(STEPS.map((step) => [step, createDeferred<string | undefined>()]));
  const open = new Set(STEPS);
  const built = build((progress) => {
    if (progress.state !== 'done') return;
    steps.get(progress.step)?.resolve(progress.text);
    open.delete(progress.step);
  });
  built.then(
    () => steps.forEach((step) => step.resolve('')),
    (error: unknown) => {
      // The fault belongs to the step that was under way; those after it never came.
      const [first, ...others] = open;
      for (const step of others) steps.get(step)?.resolve(undefined);
      if (first !== undefined) steps.get(first)?.reject(error);
    },
  );
  const list = new Listr(
    STEPS.map((step) => taskFor(step, steps.get(step)?.promise)),
    {
      concurrent: true,
      exitOnError: false,
      // Listr would leave at once on Ctrl-C, past our own clean-up.
      registerSignalListeners: false,
      // The list is for people and goes where chatter goes: stdout belongs to the result.
      rendererOptions: {
        logger: new ListrLogger({
          processOutput: new ProcessOutput(process.stderr, process.stderr),
        }),
      },
    },
  );
  await list.run();
  return built;
}

function taskFor(step: ProgressStep, done: Promise<string | undefined> | undefined): ListrTask {
  return {
    title: TITLES[step],
    task: async (_context, task) => {
      const text = await done;
      if (text === undefined) return task.skip(TITLES[step]);
      task.title = text ? `${TITLES[step]}: ${text}` : TITLES[step];
    },
  };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** Promise.withResolvers, which Node 20 does not have. */
function createDeferred<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => {});
  return { promise, resolve: (v) => settle?.resolve(v), reject: (e) => settle?.reject(e) };
}
