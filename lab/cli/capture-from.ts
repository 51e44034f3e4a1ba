import { constants, createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { renderTakenCapture } from '../report/taken-capture.ts';
import { inRunDirectory } from '../run/results.ts';
import { takeOver } from '../run/take-over.ts';
import { CommandError } from './exit.ts';
import type { Output } from './output.ts';

export interface CaptureFromOptions {
  readonly name: string;
  readonly keys?: string;
  readonly results: string;
}

/** `capture --from`: takes over the stream of a tcpdump, `-` for standard input. Needs no root. */
export async function captureFrom(
  from: string,
  options: CaptureFromOptions,
  output: Output,
): Promise<void> {
  const { name, keys: keyLog, results } = options;
  for (const file of [from, keyLog]) {
    if (file !== undefined && file !== '-') await checkReadable(file);
  }
  await inRunDirectory(results, 'tcpdump', new Date(), async (directory) => {
    const stream: AsyncIterable<Buffer> = from === '-' ? process.stdin : createReadStream(from);
    const taken = await takeOver(stream, { name, directory, keyLog });
    output.result(taken, () => renderTakenCapture(taken));
  });
}

async function checkReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (cause) {
    const { message } = cause as Error;
    throw new CommandError('LAB_FILE_UNREADABLE', `Cannot read "${file}": ${message}`);
  }
}
