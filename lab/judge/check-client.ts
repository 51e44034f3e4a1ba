import { ipOf } from '../facts/address.ts';
import type { Path, RunFacts } from '../facts/facts.ts';
import { couldNotRun, decide, framesOf, lackOfPackets, lackOfPath, refuted } from './evidence.ts';
import { addressesOf, nameOf } from './places.ts';
import type { Check } from './verdict.ts';

/** The HTTP status the client got. It refutes by the client's word; to hold it needs packets too. */
export function checkStatus(facts: RunFacts, path: Path, wanted: number): Check {
  const { status, outcome, error } = path.request;
  const seen = status === undefined ? `none (${error ?? outcome})` : String(status);
  const parts = {
    text: `status ${seen}`,
    wanted: String(wanted),
    seen,
    frames: clientFrames(facts, path),
  };
  if (status !== wanted)
    return refuted('status', { ...parts, text: `status ${seen}, wanted ${wanted}` });
  return path.legs.length === 0 || lackOfPackets(facts) !== undefined
    ? couldNotRun('status', String(wanted), lackOfPath(facts, path) ?? 'packets of the request')
    : decide('status', true, parts);
}

/** How the client's connection ended: what the client says, and that its packets say no other. */
export function checkOutcome(facts: RunFacts, path: Path, wanted: string): Check {
  const seen = path.request.outcome;
  const parts = { wanted, seen, frames: clientFrames(facts, path) };
  if (seen !== wanted)
    return refuted('outcome', { ...parts, text: `outcome ${seen}, wanted ${wanted}` });
  const connection = facts.connections[path.legs[0]?.connection ?? -1];
  if (connection === undefined || lackOfPackets(facts) !== undefined) {
    return couldNotRun('outcome', wanted, lackOfPath(facts, path) ?? 'packets of the request');
  }
  const text = `outcome ${seen} (leg 1 ${connection.end})`;
  const isContradicted = wanted === 'refused' && connection.end !== 'refused';
  return decide('outcome', !isContradicted, { ...parts, text });
}

/**
 * Whose address the app saw: what the app reported, and the source of the last leg's packets where
 * they reached the app. Both have to be the wanted one's.
 */
export function checkSource(facts: RunFacts, path: Path, wanted: string): Check {
  const addresses = addressesOf(facts, wanted);
  const reported = path.request.sourceSeenByApp;
  const last = path.legs.at(-1);
  const sighting = facts.connections[last?.connection ?? -1]?.sightings.at(-1);
  const lack = lackOfPath(facts, path);
  if (reported !== undefined && !addresses.includes(ipOf(reported))) {
    const seen = `${nameOf(facts, ipOf(reported))} (${ipOf(reported)})`;
    return refuted('source', { text: `source ${seen}, wanted ${wanted}`, wanted, seen });
  }
  if (lack !== undefined) return couldNotRun('source', wanted, lack);
  if (sighting === undefined || last?.to.kind === 'ztunnel' || last?.to.kind === 'envoy') {
    return couldNotRun('source', wanted, 'a leg that reached the app');
  }
  const ip = ipOf(sighting.client);
  const name = nameOf(facts, ip);
  const seen = name === ip ? ip : `${name} (${ip})`;
  const isSo = addresses.includes(ip);
  const told = reported === undefined ? ', by its packets' : '';
  const text = isSo ? `source ${seen}${told}` : `source ${seen}, wanted ${wanted}`;
  return decide('source', isSo, { text, wanted, seen, frames: framesOf([sighting]) });
}

function clientFrames(facts: RunFacts, path: Path) {
  const first = facts.connections[path.legs[0]?.connection ?? -1]?.sightings[0];
  return first === undefined ? [] : framesOf([first]);
}
