import { writeFile } from 'node:fs/promises';
import { compareCapture } from '../regress/compare-capture.ts';
import type { CaptureResult } from '../regress/results.ts';
import { renderCaptureResult } from '../report/regress-capture.ts';
import { renderCaptureJunit } from '../report/regress-junit.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { RegressOptions } from './regress.ts';

/** `regress --pcap --baseline`: facts of a capture file against what they were. Needs no root. */
export async function regressCapture(
  files: readonly string[],
  options: RegressOptions,
  context: CommandContext,
): Promise<void> {
  const { pcap: capture, baseline: baselineFile, keys, junit } = options;
  if (capture === undefined || baselineFile === undefined) {
    const missing = capture === undefined ? '--pcap' : '--baseline';
    throw new CommandError(
      'LAB_BAD_CHOICE',
      `Cannot compare a capture: ${missing} <file> is missing, both --pcap and --baseline are wanted`,
    );
  }
  const others = [...files, ...(options.era ?? []), ...(options.scenario ?? '')];
  if (others.length > 0) {
    throw new CommandError(
      'LAB_BAD_CHOICE',
      'Cannot compare a capture and topologies at once: leave topologies, --era and --scenario out',
    );
  }
  const result = await compareCapture({
    capture,
    baselineFile,
    isUpdate: options.update === true,
    ...(keys !== undefined && { keys }),
  });
  if (junit !== undefined) await writeFile(junit, renderCaptureJunit(result));
  const output = context.output(options.json === true);
  output.result(result, () => {
    const { color, width } = output;
    return renderCaptureResult(result, { color, width, from: process.cwd() });
  });
  process.exitCode = EXIT_OF[result.state];
}

const EXIT_OF: Readonly<Record<CaptureResult['state'], number>> = {
  same: EXIT.held,
  differs: EXIT.failed,
  'could not run': EXIT.cannotRun,
};
