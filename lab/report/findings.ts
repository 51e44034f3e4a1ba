import type { Finding } from '../diagnose/finding.ts';
import { counted } from './text.ts';
import { wrapText } from './wrap.ts';

/** Findings as text: cause and place, what people see, what was read, what mends it. */
export function renderFindings(
  findings: readonly Finding[],
  looked: string,
  { width }: { readonly width: number },
): string {
  if (findings.length === 0) return `Nothing is wrong: ${looked}.`;
  const shown = findings.map(({ cause, at, text, effect, evidence, mend }) =>
    [
      `${cause} at ${at}`,
      wrapText(`${text}.`, 2, width),
      wrapText(`seen      ${effect}`, 2, width, 12),
      ...evidence.map((line) => wrapText(line, 2, width, 12)),
      wrapText(`mend      ${mend}`, 2, width, 12),
    ].join('\n'),
  );
  return [...shown, `${counted(findings.length, 'finding')}; ${looked}.`].join('\n\n');
}
