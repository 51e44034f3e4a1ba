import type { Check, FrameRef, Outcome } from '../judge/verdict.ts';
import { worstOutcome } from '../judge/verdict.ts';
import type { Finding } from './claim.ts';

/** Evidence that a check wants and this world has not: the claim could not run. */
export class EvidenceMissing extends Error {
  override readonly name = 'EvidenceMissing';
  readonly code = 'LAB_EVIDENCE_MISSING';
  readonly needs: string;

  constructor(needs: string) {
    super(`Cannot settle the claim: needs ${needs}`);
    this.needs = needs;
  }
}

/** A finding that `needs` something. */
export function couldNotRun(needs: string): Finding {
  return { outcome: 'could not run', text: `needs ${needs}`, evidence: [], frames: [] };
}

/** Holds or is refuted by one observation. */
export function settle(
  isSo: boolean,
  text: string,
  { evidence = [], frames = [] }: Partial<Pick<Finding, 'evidence' | 'frames'>> = {},
): Finding {
  return { outcome: isSo ? 'holds' : 'refuted', text, evidence, frames };
}

/** Holds when every part holds; the text is that of the parts that decide. */
export function together(...parts: readonly (Finding | Check)[]): Finding {
  const outcome: Outcome = worstOutcome(parts.map((part) => part.outcome));
  const deciding = parts.filter((part) => part.outcome === outcome);
  return {
    outcome,
    text: deciding.map(({ text }) => text).join('; '),
    evidence: parts.flatMap((part) => ('evidence' in part ? part.evidence : [])),
    frames: mergeFrames(parts.flatMap(({ frames }) => frames)),
  };
}

function mergeFrames(refs: readonly FrameRef[]): readonly FrameRef[] {
  const files = new Map<string, Set<number>>();
  for (const { file, frames } of refs) {
    const known = files.get(file) ?? new Set();
    for (const frame of frames) known.add(frame);
    files.set(file, known);
  }
  return [...files].map(([file, frames]) => ({ file, frames: [...frames].sort((a, b) => a - b) }));
}
