import type { Leg, MtlsLeg, Path, RunFacts } from '../facts/facts.ts';
import { isCleartext, lackOfSecrets } from './check-encryption.ts';
import { couldNotRun, decide, framesOf, holds, lackOfPath, refuted } from './evidence.ts';
import type { Check } from './verdict.ts';

export interface Identities {
  readonly client?: string;
  readonly server?: string;
}

/**
 * `mtls`: every leg that leaves a namespace (in era geneve: leaves a node) is HBONE or mutual TLS of
 * sidecars, in TLS 1.3 with a certificate of each side, read from the decrypted handshake. `plain`:
 * no leg is.
 */
export function checkSecurity(facts: RunFacts, path: Path, wanted: 'mtls' | 'plain'): Check {
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) return couldNotRun('security', wanted, lack);
  const tunnels = path.legs.filter((leg) => leg.encapsulation !== 'plain');
  if (wanted === 'plain') {
    const isPlain = tunnels.length === 0;
    const seen = isPlain ? 'plain' : `${wrapping(tunnels[0]!)} on leg ${tunnels[0]!.number}`;
    const text = isPlain ? `plain: ${noTunnel(path)}` : `${seen}, wanted plain`;
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
        ? noTunnel(path)
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
  const text = `mtls: ${tlsOfLeg(tunnels[0]!)?.version} with both certificates (${shown})`;
  return holds('security', { text, wanted, seen: 'mtls', frames: framesOfLegs(facts, tunnels) });
}

/** The way between a pod and the ztunnel of its node, where that has a netns of its own. */
function isToOwnZtunnel({ from, to }: Leg): boolean {
  const isProxied = from.kind === 'ztunnel' || to.kind === 'ztunnel';
  return isProxied && from.node !== undefined && from.node === to.node;
}

/** What a decrypted tunnel lacks to be mutual TLS 1.3. */
function weaknessOf(leg: Leg): string | undefined {
  const { number } = leg;
  const tls = tlsOfLeg(leg);
  if (tls?.version !== 'TLS 1.3') return `leg ${number} is ${tls?.version ?? 'no TLS'}`;
  if (tls.serverIdentity === undefined) return `leg ${number}: no SPIFFE identity of the server`;
  if (tls.clientIdentity === undefined) return `leg ${number}: no SPIFFE identity of the client`;
  return undefined;
}

/** The SPIFFE URIs of both certificates, from the decrypted handshake of every tunnel of the path. */
export function checkIdentities(facts: RunFacts, path: Path, wanted: Identities): Check {
  const shown = [wanted.client, wanted.server].map((each) => each ?? 'any').join(' ⇄ ');
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) return couldNotRun('identities', shown, lack);
  const tunnels = path.legs.filter((leg) => leg.encapsulation !== 'plain');
  if (tunnels.length === 0 || tunnels.some((leg) => isCleartext(facts, leg))) {
    const seen = tunnels.length === 0 ? noTunnel(path) : 'a tunnel without TLS';
    return refuted('identities', { text: `identities: ${seen}`, wanted: shown, seen });
  }
  for (const leg of tunnels) {
    const unread = lackOfSecrets(facts, leg);
    if (unread !== undefined) return couldNotRun('identities', shown, unread);
  }
  const wrong = tunnels.find((leg) => {
    const tls = tlsOfLeg(leg);
    return (
      (wanted.client !== undefined && tls?.clientIdentity !== wanted.client) ||
      (wanted.server !== undefined && tls?.serverIdentity !== wanted.server)
    );
  });
  const shownTls = tlsOfLeg(wrong ?? tunnels[0]!);
  const seen = `${shownTls?.clientIdentity ?? 'none'} ⇄ ${shownTls?.serverIdentity ?? 'none'}`;
  const text = wrong === undefined ? `identities ${seen}` : `identities ${seen}, wanted ${shown}`;
  const frames = framesOfLegs(facts, tunnels);
  return decide('identities', wrong === undefined, { text, wanted: shown, seen, frames });
}

/** What a path lacks, in the words of the mesh that it goes through. */
function noTunnel({ legs }: Path): string {
  const hasSidecar = legs.some(({ from, to }) => from.kind === 'envoy' || to.kind === 'envoy');
  return hasSidecar ? 'no HBONE or mTLS leg' : 'no HBONE leg';
}

function wrapping({ encapsulation }: Leg): string {
  return encapsulation === 'mtls' ? 'mTLS' : 'HBONE';
}

function tlsOfLeg({ hbone, mtls }: Leg): MtlsLeg | undefined {
  return hbone ?? mtls;
}

function framesOfLegs(facts: RunFacts, legs: readonly Leg[]) {
  return legs.flatMap((leg) => {
    const first = facts.connections[leg.connection]?.sightings[0];
    return first === undefined ? [] : framesOf([first]);
  });
}
