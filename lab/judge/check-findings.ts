import type { Expectations } from '../../topologies/topology.ts';
import type { Path, RunFacts } from '../facts/facts.ts';
import { couldNotRun, decide } from './evidence.ts';
import type { Check } from './verdict.ts';

/** What the diagnosis of the lab found after the request: all of it, in any order. */
export function checkFindings(
  _facts: RunFacts,
  { request }: Path,
  wanted: NonNullable<Expectations['findings']>,
): Check {
  const wish = show(wanted);
  if (request.findings === undefined)
    return couldNotRun('findings', wish, 'a diagnosis of the lab');
  const seen = show(request.findings);
  const isSo = seen === wish;
  const text = isSo ? `diagnosis: ${seen}` : `diagnosis: ${seen}, wanted ${wish}`;
  return decide('findings', isSo, { text, wanted: wish, seen, frames: [] });
}

function show(findings: readonly { readonly cause: string; readonly at: string }[]): string {
  const words = findings.map(({ cause, at }) => `${cause} at ${at}`).toSorted();
  return words.length === 0 ? 'nothing is wrong' : words.join(', ');
}
