import type { Scenario } from '../../topologies/topology.ts';
import type { Path, RunFacts } from '../facts/facts.ts';
import { isCleartext, lackOfDecryption } from './check-encryption.ts';
import { checkIdentities, checkSecurity } from './check-security.ts';
import {
  couldNotRun,
  decide,
  framesOf,
  holds,
  lackOfPackets,
  lackOfPath,
  refuted,
  shortRef,
} from './evidence.ts';
import { pathsOf } from './judge-scenario.ts';
import { type LinkCrossing, linksOf } from './links.ts';
import type { Check, ScenarioVerdict } from './verdict.ts';
import { worstOutcome } from './verdict.ts';

/**
 * Whether what this scenario's request said was encrypted on every link outside the two pods, and by
 * whom: mutual TLS 1.3 with the certificates of the two workloads, the canary in no frame in clear
 * except on the loopback of client and server (which is the control of the search), one check a
 * link that was crossed.
 */
export function proveMtls(scenario: Scenario, facts: RunFacts): ScenarioVerdict {
  const [found] = pathsOf(scenario, facts);
  const checks =
    found === undefined
      ? [couldNotRun('security', 'mtls', 'a request')]
      : [...proveRequest(facts, found.path)];
  return {
    name: scenario.name,
    outcome: worstOutcome(checks.map(({ outcome }) => outcome)),
    checks,
    paths: found === undefined ? [] : [found.index],
  };
}

function* proveRequest(facts: RunFacts, path: Path): Iterable<Check> {
  yield checkSecurity(facts, path, 'mtls');
  const identities = wantedIdentities(facts, path);
  if (identities !== undefined) yield checkIdentities(facts, path, identities);
  yield checkNoLeak(facts, path);
  for (const leg of path.legs) {
    for (const link of linksOf(facts, leg)) yield checkLink(facts, path, link);
  }
}

/** Those of the pods at both ends, where both are pods of the lab. */
function wantedIdentities(facts: RunFacts, path: Path) {
  const identityIn = (netns: string | undefined): string | undefined =>
    facts.places.find((place) => place.netns === netns)?.identity;
  const client = identityIn(path.legs[0]?.from.netns);
  const server = identityIn(path.legs.at(-1)?.to.netns);
  return client === undefined || server === undefined ? undefined : { client, server };
}

function checkNoLeak(facts: RunFacts, path: Path): Check {
  const wanted = 'canary in clear nowhere but on the loopback of client and server';
  const ends = [path.legs[0]?.from.netns, path.legs.at(-1)?.to.netns];
  const isControl = (hit: { readonly netns: string; readonly interface: string }): boolean =>
    hit.interface === 'lo' && ends.includes(hit.netns);
  // Without the whole path nobody knows which loopbacks are the control.
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) return couldNotRun('leak', wanted, lack);
  const leaks = path.canary.clear.filter((hit) => !isControl(hit));
  if (leaks.length > 0) {
    const places = leaks.map((hit) => `${hit.netns}/${hit.interface}`).join(', ');
    const text = `canary in clear on ${places}`;
    return refuted('leak', { text, wanted, seen: text, frames: leaks });
  }
  const clipped = facts.interfaces.find(({ clippedFrames }) => clippedFrames > 0);
  if (clipped !== undefined) {
    return couldNotRun('leak', wanted, `whole frames on ${clipped.netns}/${clipped.name}`);
  }
  const control = path.canary.clear.find(isControl);
  if (control === undefined) {
    return couldNotRun('leak', wanted, 'the canary on a loopback of the pods (positive control)');
  }
  const searched = facts.interfaces.filter(({ name }) => name !== 'lo');
  const frames = searched.reduce((sum, each) => sum + each.frames, 0);
  const text = `canary in 0 of ${frames} frames on ${searched.length} interfaces (control: ${shortRef(control)})`;
  return holds('leak', { text, wanted, seen: 'no clear canary', frames: [control] });
}

function checkLink(facts: RunFacts, path: Path, { leg, text: link, ends }: LinkCrossing): Check {
  const wanted = leg.encapsulation === 'mtls' ? 'mTLS' : 'HBONE';
  const frames = framesOf(ends);
  // A connection whose first bytes were lost looks plain.
  const packets = lackOfPackets(facts);
  if (packets !== undefined) return couldNotRun('link', `${link}: ${wanted}`, packets);
  if (leg.encapsulation === 'plain' || isCleartext(facts, leg)) {
    const seen = leg.encapsulation === 'plain' ? 'plain' : 'HTTP/2 without TLS';
    return decide('link', false, { text: `${link}: ${seen}`, wanted, seen, frames });
  }
  const lack = lackOfDecryption(facts, path, leg);
  if (lack !== undefined) return couldNotRun('link', `${link}: ${wanted}`, lack);
  const seen = `${leg.encapsulation === 'mtls' ? 'mTLS' : 'HBONE'}, leg ${leg.number}`;
  return holds('link', { text: `${link}: ${seen}`, wanted, seen, frames });
}
