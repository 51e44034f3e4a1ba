import type { CaptureResult, ScenarioResult } from '../regress/results.ts';
import { type RegressTextOptions, renderScenario } from './regress.ts';
import { counted } from './text.ts';

/** What of a capture is not as its baseline, and one line that sums it up. */
export function renderCaptureResult(result: CaptureResult, options: RegressTextOptions): string {
  const { blocks, capture, baselineFile, frames, reason, isUpdate, isWritten } = result;
  const seen = `${capture}: ${counted(frames, 'frame')}`;
  if (reason !== undefined) return `? ${seen}: could not run, ${reason}`;
  if (isUpdate) {
    const done = isWritten ? 'written' : 'unchanged';
    return `${seen}, ${counted(blocks.length, 'block')}; ${baselineFile} ${done}`;
  }
  const odd = blocks.filter(({ state }) => state !== 'same');
  const count = (state: ScenarioResult['state']): number =>
    blocks.filter((each) => each.state === state).length;
  const parts = [
    `${count('same')} of ${counted(blocks.length, 'block')} as ${baselineFile}`,
    ...(['differs', 'new', 'vanished', 'could not run'] as const)
      .filter((state) => count(state) > 0)
      .map(
        (state) => `${count(state)} ${state === 'differs' && count(state) > 1 ? 'differ' : state}`,
      ),
  ];
  return [
    ...odd.flatMap((block) => renderScenario(block, options)),
    `${seen}, ${parts.join(' · ')}`,
  ].join('\n');
}
