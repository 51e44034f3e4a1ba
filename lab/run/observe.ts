import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { analyseRun } from '../facts/analyse-run.ts';
import { embedSecrets } from '../facts/embed-secrets.ts';
import type { RunFacts } from '../facts/facts.ts';
import type { RequestResult } from '../facts/request.ts';
import { writeStory } from '../facts/story.ts';
import { renderBaseline } from '../regress/baseline.ts';
import { baselineOfRun } from '../regress/describe-run.ts';
import type { Lab } from '../world/lab.ts';
import { labPaths } from '../world/paths.ts';
import { renewTunnels, writeOpenLegs } from './renew-tunnels.ts';
import { settle } from './settle.ts';

/** Requests that were recorded, and what the packets say of them. */
export interface Observation {
  /** Directory with the capture and everything made of it. */
  readonly directory: string;
  readonly requests: readonly RequestResult[];
  readonly facts: RunFacts;
}

export interface ObserveOptions {
  readonly directory: string;
  readonly snapLength?: number;
  readonly signal?: AbortSignal;
  /** For how long nothing must have been written of legs before the recording ends; 60 unless given. */
  readonly quietMs?: number;
}

/**
 * Records every interface of a lab while `make` makes requests, then reads the facts out of the
 * packets and tells the story. The recording is ended also when `make` throws, and at once when
 * `signal` aborts, which is then what is thrown.
 * Pooled tunnels are renewed first: only a recorded handshake tells who speaks, and lets the rest be read.
 */
export async function observe(
  lab: Lab,
  options: ObserveOptions,
  make: () => Promise<readonly RequestResult[]>,
): Promise<Observation> {
  const { directory, signal, quietMs = 60 } = options;
  await renewTunnels(lab);
  signal?.throwIfAborted();
  await lab.startCapture(directory, { snapLength: options.snapLength });
  const requests = await makeRecorded(lab, { signal, quietMs }, make);
  await writeFile(join(directory, CAPTURE_FILES.plan), JSON.stringify(lab.plan, null, 2));
  const observation = await analyse(lab, directory, requests);
  signal?.throwIfAborted();
  return observation;
}

async function makeRecorded(
  lab: Lab,
  { signal, quietMs }: Pick<ObserveOptions, 'signal' | 'quietMs'> & { readonly quietMs: number },
  make: () => Promise<readonly RequestResult[]>,
): Promise<readonly RequestResult[]> {
  let requests: readonly RequestResult[];
  try {
    requests = await unlessAborted(make(), signal);
    await settle(labPaths(lab.name).legs, { quietMs, timeoutMs: 2_000 });
    await writeOpenLegs(lab);
  } catch (error) {
    // What went wrong first is what is told.
    await lab.stopCapture().catch(() => undefined);
    throw error;
  }
  await lab.stopCapture();
  return requests;
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  const listening = new AbortController();
  const aborted = once(signal, 'abort', { signal: listening.signal }).then(() =>
    signal.throwIfAborted(),
  );
  try {
    return (await Promise.race([work, aborted])) as T;
  } finally {
    work.catch(() => undefined);
    aborted.catch(() => undefined);
    listening.abort();
  }
}

async function analyse(
  lab: Lab,
  directory: string,
  requests: readonly RequestResult[],
): Promise<Observation> {
  const facts = await analyseRun({ dir: directory, plan: lab.plan, requests });
  await embedSecrets(directory, facts);
  await writeStory({ dir: directory, plan: lab.plan, facts });
  await writeFile(join(directory, CAPTURE_FILES.facts), JSON.stringify(facts, null, 2));
  await writeFile(join(directory, CAPTURE_FILES.factsText), renderBaseline(baselineOfRun(facts)));
  return { directory, requests, facts };
}
