import type { Lab } from '../world/lab.ts';
import { diagnose } from './diagnose.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { readEvidence } from './read-evidence.ts';

export interface Examination {
  readonly evidence: Evidence;
  readonly findings: readonly Finding[];
}

/**
 * Reads a running lab and says what is wrong in it. What is found is looked at a second time: a pod
 * that is being enrolled, or a program that was late on a busy machine, is no fault.
 */
export async function examine(lab: Lab): Promise<Examination> {
  const evidence = await readEvidence(lab);
  const first = diagnose(evidence);
  if (first.length === 0) return { evidence, findings: [] };
  const again = await readEvidence(lab);
  const isSame = (a: Finding, b: Finding): boolean => a.cause === b.cause && a.at === b.at;
  const findings = diagnose(again).filter((one) => first.some((other) => isSame(one, other)));
  return { evidence: again, findings };
}
