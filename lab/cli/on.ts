import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runElsewhere } from '../hosts/remote/elsewhere.ts';
import { findVagrantRoute, isVagrantName } from '../hosts/remote/vagrant.ts';
import { connect, findRoute, requireDirect, type Route } from '../hosts/ssh/connect.ts';
import { parseDestination } from '../hosts/ssh/destination.ts';
import { INCOMPLETE, pointLatestAt } from '../run/results.ts';
import { CommandError, Interrupted } from './exit.ts';
import { onInterrupt } from './interrupt.ts';
import type { OnOptions } from './on-options.ts';
import { shortPath } from './output.ts';
import { projectRoot } from './project-root.ts';

/** A silent connection counts as dead after this, on both ends. */
const SILENCE_MS = 60_000;
const PASSED_ON = ['NO_COLOR', 'FORCE_COLOR'];

/** Runs a verb on another machine and gives its exit code; `whyNotHere` when nobody asked for that. */
export async function runOn(options: OnOptions, whyNotHere?: string): Promise<number> {
  const { on, identity, args } = options;
  const interrupts = followInterrupts();
  const root = projectRoot();
  const silenceMs = Number(process.env['AMBIENT_LAB_SILENCE_MS'] ?? SILENCE_MS);
  try {
    const route = await routeTo(on ?? 'vagrant:', identity, root);
    const place = `${route.user}@${route.host}${route.port === 22 ? '' : `:${route.port}`}`;
    const why = whyNotHere === undefined ? '' : `${whyNotHere}: running in the Vagrant machine, `;
    note(`${why}${why === '' ? 'On' : 'on'} ${place}`);
    const { signal } = interrupts;
    await using connection = await connect(route, { signal, silenceMs, note });
    return await runElsewhere(connection, {
      root,
      cwd: process.cwd(),
      args,
      farEnd: farEndProgram(root),
      results: join(root, 'results'),
      silenceMs,
      environment: passedOn(),
      onSignal: interrupts.tell,
      note,
      onResults: welcome,
    });
  } catch (error) {
    // Whatever an interrupt has broken is told as the interrupt.
    throw interrupts.signal.aborted ? interrupts.signal.reason : error;
  }
}

async function routeTo(on: string, identity: string | undefined, root: string): Promise<Route> {
  if (isVagrantName(on)) return findVagrantRoute(root, on);
  const route = findRoute(parseDestination(on), identity);
  requireDirect(route);
  return route;
}

interface Interrupts {
  /** Aborts at an interrupt that nobody else is told of. */
  readonly signal: AbortSignal;
  /** Tells the listener from now on; the third interrupt ends this process all the same. */
  readonly tell: (listener: (name: NodeJS.Signals) => void) => () => void;
}

function followInterrupts(): Interrupts {
  const controller = new AbortController();
  let told: ((name: NodeJS.Signals) => void) | undefined;
  onInterrupt((name, count) => {
    if (count > 2) process.exit(new Interrupted(name).exitCode);
    if (told === undefined) controller.abort(new Interrupted(name));
    else told(name);
  });
  const tell: Interrupts['tell'] = (listener) => {
    told = listener;
    return () => (told = undefined);
  };
  return { signal: controller.signal, tell };
}

/** Beside us when we are a bundle ourselves. */
function farEndProgram(root: string): string {
  const own = fileURLToPath(import.meta.url);
  const folder = own.endsWith('.mjs') ? dirname(own) : join(root, 'build', 'programs');
  const program = join(process.env['AMBIENT_LAB_PROGRAMS'] ?? folder, 'far-end.mjs');
  if (existsSync(program)) return program;
  throw new CommandError(
    'LAB_PROGRAM_MISSING',
    `Cannot send "${program}": no such file`,
    'Build the programs: npm run build',
  );
}

function passedOn(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    PASSED_ON.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function welcome(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const isRun = statSync(path).isDirectory();
    if (isRun && !existsSync(join(path, INCOMPLETE))) await pointLatestAt(path);
    note(`Brought back: ${shortPath(path)}`);
  }
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
