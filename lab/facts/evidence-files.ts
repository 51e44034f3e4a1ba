import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LegRecord } from '../../dataplane/ztunnel/leg-record.ts';
import { CAPTURE_FILES } from '../capture/layout.ts';
import type { ConntrackEvent, Recording } from '../capture/layout.ts';
import { fromEnvoy } from './envoy-legs.ts';
import type { Problem } from './facts.ts';

/** The written evidence of a run beside its packets; what was missing or broken is in `problems`. */
export interface EvidenceFiles {
  readonly recording?: Recording;
  readonly legs: readonly LegRecord[];
  readonly conntrack: readonly ConntrackEvent[];
  /** NSS key log; empty when there is none. */
  readonly keyLog: string;
  readonly problems: readonly Problem[];
}

/**
 * Reads recording, leg records, conntrack events and key log of a run directory. A file that is
 * missing is empty evidence; a line that cannot be read is left out and named in `problems`.
 */
export async function readEvidence(dir: string): Promise<EvidenceFiles> {
  const problems: Problem[] = [];
  const recording = await readRecording(dir, problems);
  const legs = await readLines(dir, CAPTURE_FILES.legs, isLegRecord, problems);
  const conntrack = await readLines(dir, CAPTURE_FILES.conntrack, isConntrackEvent, problems);
  const keyLog = await readText(join(dir, CAPTURE_FILES.keys));
  return { ...(recording && { recording }), legs, conntrack, keyLog, problems };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

async function readRecording(dir: string, problems: Problem[]): Promise<Recording | undefined> {
  const file = CAPTURE_FILES.recording;
  const text = await readText(join(dir, file));
  if (text === '') {
    problems.push({ kind: 'no-recording', file, text: `No "${file}": nothing was recorded` });
    return undefined;
  }
  const value = parseJson(text);
  if (isRecording(value)) return value;
  problems.push({ kind: 'no-recording', file, text: `Cannot read "${file}": not a recording` });
  return undefined;
}

async function readLines<T>(
  dir: string,
  file: string,
  accepts: (value: unknown) => value is T,
  problems: Problem[],
): Promise<readonly T[]> {
  const values: T[] = [];
  let bad = 0;
  for (const line of (await readText(join(dir, file))).split('\n')) {
    if (line === '') continue;
    const value = fromEnvoy(parseJson(line));
    if (accepts(value)) values.push(value);
    else bad++;
  }
  if (bad > 0) {
    problems.push({ kind: 'bad-record', file, text: `Cannot read ${bad} line(s) of "${file}"` });
  }
  return values;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasStrings(value: unknown, ...keys: readonly string[]): boolean {
  return isObject(value) && keys.every((key) => typeof value[key] === 'string');
}

function isDecimal(value: unknown): boolean {
  return typeof value === 'string' && /^\d{1,20}$/.test(value);
}

function isRecording(value: unknown): value is Recording {
  if (!isObject(value) || !isDecimal(value['startedNs']) || !isDecimal(value['stoppedNs'])) {
    return false;
  }
  const interfaces = value['interfaces'];
  return (
    Array.isArray(interfaces) &&
    interfaces.every(
      (each) =>
        hasStrings(each, 'netns', 'name', 'file') &&
        Number.isInteger((each as Record<string, unknown>)['kernelDrops']),
    )
  );
}

function isLegRecord(value: unknown): value is LegRecord {
  if (!isObject(value) || !hasStrings(value, 'node', 'pod', 'direction', 'id')) return false;
  if (!isDecimal(value['openedNs']) || !isDecimal(value['closedNs'])) return false;
  if (!hasStrings(value['accepted'], 'peer', 'local')) return false;
  const { tunnel, upstream } = value;
  const isTunnel =
    tunnel === undefined ||
    (hasStrings(tunnel, 'local', 'remote') &&
      Number.isInteger((tunnel as Record<string, unknown>)['stream']));
  return isTunnel && (upstream === undefined || hasStrings(upstream, 'local', 'remote'));
}

function isConntrackEvent(value: unknown): value is ConntrackEvent {
  return (
    isObject(value) &&
    hasStrings(value, 'netns', 'event') &&
    isDecimal(value['timeNs']) &&
    hasStrings(value['original'], 'source', 'destination') &&
    hasStrings(value['reply'], 'source', 'destination')
  );
}
