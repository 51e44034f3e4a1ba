import type { Leg, Path, RunFacts } from '../facts/facts.ts';
import { parseLegNotation } from '../../topologies/leg-notation.ts';
import {
  couldNotRun,
  decide,
  framesOf,
  holds,
  lackOfPackets,
  lackOfPath,
  refuted,
} from './evidence.ts';
import { isEnd, legText, portOf } from './places.ts';
import type { Check } from './verdict.ts';

/** The legs in order, in the notation of topologies. */
export function checkLegs(facts: RunFacts, path: Path, wanted: readonly string[]): Check {
  const shown = wanted.join(', ');
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) return couldNotRun('legs', shown, lack);
  const seenLegs = path.legs.map((leg) => legText(facts, leg));
  const wrong = path.legs.findIndex((leg, index) => !isLeg(facts, leg, wanted[index]));
  const isSo = wrong < 0 && path.legs.length === wanted.length;
  const text = isSo
    ? `${wanted.length} ${wanted.length === 1 ? 'leg' : 'legs'} as wanted`
    : legsDiffer(seenLegs, wanted, wrong);
  const firsts = path.legs.flatMap(
    (leg) => facts.connections[leg.connection]?.sightings.slice(0, 1) ?? [],
  );
  const seen = seenLegs.join(', ');
  return decide('legs', isSo, { text, wanted: shown, seen, frames: framesOf(firsts) });
}

function isLeg(facts: RunFacts, leg: Leg, text: string | undefined): boolean {
  const wanted = text === undefined ? undefined : parseLegNotation(text);
  if (wanted === undefined) return false;
  return (
    isEnd(facts, leg.from, wanted.from.name, wanted.from.node) &&
    isEnd(facts, leg.to, wanted.to.name, wanted.to.node) &&
    portOf(leg.to) === wanted.port &&
    leg.encapsulation === wanted.encapsulation
  );
}

function legsDiffer(seen: readonly string[], wanted: readonly string[], wrong: number): string {
  const at = wrong < 0 ? Math.min(seen.length, wanted.length) : wrong;
  return `leg ${at + 1} is ${seen[at] ?? 'absent'}, wanted ${wanted[at] ?? 'none'}`;
}

/** Forwarding steps of the request's frames, over all legs. */
export function checkHops(facts: RunFacts, path: Path, wanted: number): Check {
  return checkCount(facts, path, 'hops', path.hops, wanted);
}

/** Netfilter passes of the request's frames, over all legs; counted as in `facts/passes.ts`. */
export function checkPasses(facts: RunFacts, path: Path, wanted: number): Check {
  return checkCount(facts, path, 'passes', path.passes, wanted);
}

function checkCount(
  facts: RunFacts,
  path: Path,
  name: 'hops' | 'passes',
  seen: number,
  wanted: number,
): Check {
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) return couldNotRun(name, String(wanted), lack);
  const text = seen === wanted ? `${seen} ${name}` : `${seen} ${name}, wanted ${wanted}`;
  const sightings = path.legs.flatMap((leg) => facts.connections[leg.connection]?.sightings ?? []);
  const parts = { text, wanted: String(wanted), seen: String(seen), frames: framesOf(sightings) };
  return decide(name, seen === wanted, parts);
}

/**
 * No packet of the request on these interfaces. They have to have been recorded, and the request to
 * have been seen elsewhere: silence in an empty capture proves nothing.
 */
export function checkQuiet(facts: RunFacts, path: Path, wanted: readonly string[]): Check {
  const shown = wanted.join(', ');
  const lack = lackOfPackets(facts);
  const noisy = path.legs
    .flatMap((leg) => facts.connections[leg.connection]?.sightings ?? [])
    .filter((each) => wanted.includes(`${each.netns}/${each.interface}`));
  const hits = path.canary.clear.filter((hit) => wanted.includes(`${hit.netns}/${hit.interface}`));
  if (noisy.length > 0 || hits.length > 0) {
    const at = noisy[0] ?? hits[0]!;
    const text = `not quiet: packets of the request on ${at.netns}/${at.interface}`;
    const frames = [...framesOf(noisy), ...hits];
    return refuted('quiet', {
      text,
      wanted: shown,
      seen: `packets on ${at.netns}/${at.interface}`,
      frames,
    });
  }
  if (lack !== undefined) return couldNotRun('quiet', shown, lack);
  const unknown = wanted.find(
    (name) => !facts.interfaces.some((each) => `${each.netns}/${each.name}` === name),
  );
  if (unknown !== undefined) return couldNotRun('quiet', shown, `a recording of ${unknown}`);
  const incomplete = lackOfPath(facts, path);
  if (incomplete !== undefined) return couldNotRun('quiet', shown, incomplete);
  return holds('quiet', { text: `quiet on ${shown}`, wanted: shown, seen: 'no packet' });
}
