import type { Leg, Path, RunFacts } from '../facts/facts.ts';
import { isCleartext, lackOfSecrets } from './check-encryption.ts';
import { couldNotRun, decide, framesOf, holds, lackOfPath, refuted } from './evidence.ts';
import type { Check } from './verdict.ts';

export interface Identities {
  readonly client?: string;
  readonly server?: string;
}

/**
 * `mtls`: every leg that leaves a namespace (in era geneve: leaves a node) is HBONE in TLS 1.3 with a certificate of each side,
 * read from the decrypted handshake. `plain`: no leg is HBONE.
 */
export function checkSecurity(facts: RunFacts, path: Path, wanted: 'mtls' | 'plain'): Check {
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) return couldNotRun('security', wanted, lack);
  const tunnels = path.legs.filter((leg) => leg.encapsulation === 'hbone');
  if (wanted === 'plain') {
    const isPlain = tunnels.length === 0;
    const seen = isPlain ? 'plain' : `HBONE on leg ${tunnels[0]!.number}`;
    const text = isPlain ? 'plain: no HBONE leg' : `${seen}, wanted plain`;
    return decide('security', isPlain, {
      text,
      wanted,
      seen,
      frames: framesOfLegs(facts, tunnels),
    });
  }
  return checkMtls(facts, path, tunnels);
}

function checkMtls(facts: RunFacts, path: Path, tunnels: readonly Leg[]): Check {
  const wanted = 'mtls';
  const plain = path.legs.find(
    (leg) =>
      leg.from.netns !== leg.to.netns && leg.encapsulation === 'plain' && !isToOwnZtunnel(leg),
  );
  const open = tunnels.find((leg) => isCleartext(facts, leg));
  const offender = plain ?? open;
  if (offender !== undefined || tunnels.length === 0) {
    const seen =
      offender === undefined
        ? 'no HBONE leg'
        : `leg ${offender.number} ${open === offender ? 'without TLS' : 'plain'} from ${offender.from.netns} to ${offender.to.netns}`;
    const frames = offender === undefined ? [] : framesOfLegs(facts, [offender]);
    return refuted('security', { text: `${seen}, wanted mtls`, wanted, seen, frames });
  }
  for (const leg of tunnels) {
    const lack = lackOfSecrets(facts, leg);
    if (lack !== undefined) return couldNotRun('security', wanted, lack);
    const weak = weaknessOf(leg);
    if (weak !== undefined) {
      const parts = { text: weak, wanted, seen: weak, frames: framesOfLegs(facts, [leg]) };
      return refuted('security', parts);
    }
  }
  const shown = tunnels.map((leg) => `leg ${leg.number}`).join(', ');
  const text = `mtls: ${tunnels[0]!.hbone?.version} with both certificates (${shown})`;
  return holds('security', { text, wanted, seen: 'mtls', frames: framesOfLegs(facts, tunnels) });
}

/** The way between a pod and the ztunnel of its node, where that has a netns of its own. */
function isToOwnZtunnel({ from, to }: Leg): boolean {
  const isProxied = from.kind === 'ztunnel' || to.kind === 'ztunnel';
  return isProxied && from.node !== undefined && from.node === to.node;
}

/** What a decrypted tunnel lacks to be mutual TLS 1.3. */
function weaknessOf({ number, hbone }: Leg): string | undefined {
  if (hbone?.version !== 'TLS 1.3') return `leg ${number} is ${hbone?.version ?? 'no TLS'}`;
  if (hbone.serverIdentity === undefined) return `leg ${number}: no SPIFFE identity of the server`;
  if (hbone.clientIdentity === undefined) return `leg ${number}: no SPIFFE identity of the client`;
  return undefined;
}

/** The SPIFFE URIs of both certificates, from the decrypted handshake of every tunnel of the path. */
export function checkIdentities(facts: RunFacts, path: Path, wanted: Identities): Check {
  const shown = [wanted.client, wanted.server].map((each) => each ?? 'any').join(' ⇄ ');
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) return couldNotRun('identities', shown, lack);
  const tunnels = path.legs.filter((leg) => leg.encapsulation === 'hbone');
  if (tunnels.length === 0 || tunnels.some((leg) => isCleartext(facts, leg))) {
    const seen = tunnels.length === 0 ? 'no HBONE leg' : 'a tunnel without TLS';
    return refuted('identities', { text: `identities: ${seen}`, wanted: shown, seen });
  }
  for (const leg of tunnels) {
    const unread = lackOfSecrets(facts, leg);
    if (unread !== undefined) return couldNotRun('identities', shown, unread);
  }
  const wrong = tunnels.find(
    ({ hbone }) =>
      (wanted.client !== undefined && hbone?.clientIdentity !== wanted.client) ||
      (wanted.server !== undefined && hbone?.serverIdentity !== wanted.server),
  );
  const shownLeg = wrong ?? tunnels[0]!;
  const seen = `${shownLeg.hbone?.clientIdentity ?? 'none'} ⇄ ${shownLeg.hbone?.serverIdentity ?? 'none'}`;
  const text = wrong === undefined ? `identities ${seen}` : `identities ${seen}, wanted ${shown}`;
  const frames = framesOfLegs(facts, tunnels);
  return decide('identities', wrong === undefined, { text, wanted: shown, seen, frames });
}

function framesOfLegs(facts: RunFacts, legs: readonly Leg[]) {
  return legs.flatMap((leg) => {
    const first = facts.connections[leg.connection]?.sightings[0];
    return first === undefined ? [] : framesOf([first]);
  });
}
