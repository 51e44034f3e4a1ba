import type { Path, Problem, RunFacts, Sighting } from '../facts/facts.ts';
import type { Check, FrameRef, Outcome } from './verdict.ts';

/** Problems of a recording that no check on packets survives, whichever request it is about. */
const FATAL: ReadonlySet<Problem['kind']> = new Set([
  'no-recording',
  'empty-capture',
  'kernel-drops',
  'unreadable-file',
]);

/** Why packets of this run cannot decide anything; undefined when they can. */
export function lackOfPackets({ problems }: RunFacts): string | undefined {
  return problems.find(({ kind }) => FATAL.has(kind))?.text;
}

/** Why this path cannot be judged as a whole; undefined when it is complete. */
export function lackOfPath(facts: RunFacts, path: Path): string | undefined {
  const packets = lackOfPackets(facts);
  if (packets !== undefined) return packets;
  const [missing] = path.missing;
  if (missing !== undefined) return `what joins the legs (${missing})`;
  return path.legs.length === 0 ? 'packets of the request' : undefined;
}

export interface CheckParts {
  readonly text: string;
  readonly wanted: string;
  readonly seen: string;
  readonly frames?: readonly FrameRef[];
}

export function holds(name: string, parts: CheckParts): Check {
  return check(name, 'holds', parts);
}

export function refuted(name: string, parts: CheckParts): Check {
  return check(name, 'refuted', parts);
}

/** `needs` says what evidence would settle it. */
export function couldNotRun(name: string, wanted: string, needs: string): Check {
  const parts = { text: `${name}: needs ${needs}`, wanted, seen: 'no evidence' };
  return { ...check(name, 'could not run', parts), needs };
}

/** Holds or is refuted by one comparison. */
export function decide(name: string, isSo: boolean, parts: CheckParts): Check {
  return isSo ? holds(name, parts) : refuted(name, parts);
}

function check(name: string, outcome: Outcome, { frames = [], ...parts }: CheckParts): Check {
  return { name, outcome, ...parts, frames };
}

/** The frames of some sightings, by file. */
export function framesOf(sightings: readonly Sighting[]): readonly FrameRef[] {
  return sightings.map(({ file, frameNumbers }) => ({ file, frames: frameNumbers.slice(0, 8) }));
}

/** `httpbin.demo/lo #12` for people, of the first frame. */
export function shortRef(ref: {
  readonly file: string;
  readonly frames: readonly number[];
}): string {
  const name = ref.file
    .replace(/^.*\//, '')
    .replace(/\.pcapng$/, '')
    .replace('--', '/');
  return `${name} #${ref.frames[0] ?? '?'}`;
}
