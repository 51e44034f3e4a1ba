import { randomBytes } from 'node:crypto';
import type { Connection } from '../ssh/connection.ts';
import { fetchResults } from './fetch-results.ts';
import { prepareHost, sendProject, type Host } from './host.ts';
import { fileOf } from './orders.ts';
import { collectProject, type SentProject } from './project.ts';
import { runVerb, type OnSignal } from './session.ts';
import { translateArguments } from './translate-arguments.ts';

export interface Elsewhere {
  /** Of the project here. */
  readonly root: string;
  /** Where the person stands. */
  readonly cwd: string;
  /** Verb and arguments as they were written. */
  readonly args: readonly string[];
  /** The bundled program that is sent. */
  readonly farEnd: string;
  /** Where results go unless the arguments say otherwise. */
  readonly results: string;
  readonly silenceMs: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly onSignal: OnSignal;
  readonly note: (text: string) => void;
  /** Called with the directories and files that came back. */
  readonly onResults: (paths: readonly string[]) => Promise<void>;
}

/**
 * Runs a verb on another machine as if it ran here: sends the project when it has changed, joins
 * streams, signals and terminal, and brings results back. Gives the verb's exit code.
 *
 * @throws SshError
 */
export async function runElsewhere(connection: Connection, order: Elsewhere): Promise<number> {
  const project = await collectProject(order.root);
  const host = await prepareHost(connection, project, order.farEnd);
  const session = randomBytes(8).toString('hex');
  const { args, cwd, results, files } = translateArguments(order.args, {
    root: order.root,
    cwd: order.cwd,
    sent: new Set(project.files.map(({ entry }) => entry.path)),
    remoteFile: (number) => fileOf(host.folder, session, number),
  });
  await bring(host, project, order.note);
  const { environment, silenceMs } = order;
  const verb = { session, cwd, args, environment, silenceMs };
  const { exitCode, hasResults } = await runVerb(host, verb, order.onSignal);
  if (!hasResults) return exitCode;
  const plan = { session, results: results ?? order.results, files };
  await order.onResults(await fetchResults(host, plan));
  return exitCode;
}

async function bring(
  host: Host,
  project: SentProject,
  note: (text: string) => void,
): Promise<void> {
  if (host.hasProject) return;
  const bytes = project.files.reduce(
    (sum, { entry }) => sum + (entry.kind === 'file' ? entry.sizeBytes : 0),
    0,
  );
  note(
    `Sending the project: ${project.files.length} files that git tracks, ${(bytes / 1e6).toFixed(1)} MB`,
  );
  await sendProject(host, project);
}
