import { readFile } from 'node:fs/promises';
import type { Baseline } from './baseline.ts';
import { readBaseline, writeBaseline } from './cells.ts';
import { compareBaselines } from './compare.ts';
import { baselineOfCapture, countFrames } from './describe-capture.ts';
import { captureTitle, CaptureFileError, readCapture } from './read-capture.ts';
import { CAPTURE_SCHEMA, type CaptureResult, type ScenarioResult } from './results.ts';

export interface CaptureOptions {
  readonly capture: string;
  readonly baselineFile: string;
  /** File with TLS secrets in NSS key log format. */
  readonly keys?: string;
  readonly isUpdate: boolean;
}

/** A baseline that was named and is not there. */
export class NoBaselineError extends Error {
  override readonly name = 'NoBaselineError';
  readonly code = 'LAB_FILE_UNREADABLE';
  readonly file: string;
  readonly hint = 'Write it from this capture with --update';

  constructor(file: string) {
    super(`Cannot read the baseline "${file}": there is no such file`);
    this.file = file;
  }
}

/**
 * Holds a capture file against its baseline, or writes that. Touches nothing else.
 * @throws CaptureFileError, BaselineError, NoBaselineError
 */
export async function compareCapture(options: CaptureOptions): Promise<CaptureResult> {
  const { capture, baselineFile, isUpdate } = options;
  const keyLog = options.keys === undefined ? '' : await readKeys(options.keys);
  const dissection = await readCapture(capture, keyLog);
  const frames = countFrames(dissection);
  const result = { schema: CAPTURE_SCHEMA, capture, baselineFile, frames, isUpdate } as const;
  const found = baselineOfCapture(captureTitle(capture), dissection);
  const lack = lackOf(found, frames);
  if (lack !== undefined) {
    return { ...result, state: 'could not run', blocks: [], reason: lack, isWritten: false };
  }
  if (isUpdate) {
    const isWritten = await writeBaseline(baselineFile, found);
    return { ...result, state: 'same', blocks: compareAll(found, found), isWritten };
  }
  const known = await readBaseline(baselineFile);
  if (known === undefined) throw new NoBaselineError(baselineFile);
  const blocks = compareAll(known, found);
  return { ...result, state: stateOf(blocks), blocks, isWritten: false };
}

async function readKeys(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CaptureFileError(file, (cause as Error).message, undefined, cause);
  }
}

function lackOf({ blocks }: Baseline, frames: number): string | undefined {
  if (frames === 0) return 'the capture has no frames';
  return blocks.length === 0 ? 'no TCP, UDP or ICMP is in the capture' : undefined;
}

function compareAll(known: Baseline, found: Baseline): readonly ScenarioResult[] {
  return compareBaselines(known, found).map(({ name, kind, changes }) => {
    const lack = kind === 'differs' ? lackOfSecrets(changes) : undefined;
    return lack === undefined
      ? { name, state: kind, changes, refuted: [] }
      : { name, state: 'could not run', changes: [], needs: lack, refuted: [] };
  });
}

/** What was decrypted before and cannot be now says nothing but that secrets are missing. */
function lackOfSecrets(
  changes: readonly { readonly key: string; readonly was?: string; readonly is?: string }[],
): string | undefined {
  const secrets = changes.find(({ key }) => key === 'secrets');
  if (secrets?.was?.includes('decrypted') !== true) return undefined;
  const missing = /missing (\S+?)(?:,|$)/.exec(secrets.is ?? '')?.[1];
  return missing === undefined ? undefined : `${missing} of the connection: give it with --keys`;
}

function stateOf(blocks: readonly ScenarioResult[]): CaptureResult['state'] {
  const states = new Set(blocks.map(({ state }) => state));
  if (states.has('differs') || states.has('new') || states.has('vanished')) return 'differs';
  return states.has('could not run') ? 'could not run' : 'same';
}
