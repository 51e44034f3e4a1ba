import type { Connection, Leg, Path, RunFacts } from '../../facts/facts.ts';
import { countPasses } from '../../facts/passes.ts';
import { checkEncryptedBetween, checkPlainBetween } from '../../judge/check-encryption.ts';
import { checkLegs } from '../../judge/check-path.ts';
import { framesOf, lackOfPath } from '../../judge/evidence.ts';
import { counted } from '../../report/text.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { EvidenceMissing, settle, together } from '../finding.ts';

/** What a request costs the stacks that it passes. */
interface Laps {
  readonly name: string;
  readonly legs: number;
  /** Interfaces crossed, counted as often as they were. */
  readonly crossings: number;
  readonly passes: number;
  /** Netfilter passes in the namespaces of the client's and of the server's pod. */
  readonly inPods: readonly [number, number];
}

/**
 * A lap of a pod's stack is one way through its netfilter hooks: out to the wire, in from it, or
 * round the loopback, which is out and in again.
 */
export function threeLaps(world: ClaimWorld): Finding {
  const { facts } = world;
  const pairs = [
    ['no mesh', world.path('plainPair')],
    ['sidecars', world.path('sidecarPair')],
    ['ambient', world.path('ambientPair')],
  ] as const;
  const [none, sidecars, ambient] = pairs.map(([name, path]) => lapsOf(facts, name, path)) as [
    Laps,
    Laps,
    Laps,
  ];
  const isOne = none.legs === 1 && none.inPods.every((count) => count === 1);
  const isThree = sidecars.legs === 3 && sidecars.inPods.every((count) => count === 3);
  const text =
    `${none.legs} : ${sidecars.legs} : ${ambient.legs} legs (no mesh : sidecars : ambient), ` +
    `${inPods(none)} : ${inPods(sidecars)} : ${inPods(ambient)} netfilter passes in each pod, ` +
    `${none.passes} : ${sidecars.passes} : ${ambient.passes} with the nodes`;
  return settle(isOne && isThree, text, {
    evidence: [none, sidecars, ambient].map(
      ({ name, legs, crossings, passes, inPods: [client, server] }) =>
        `${name}: ${counted(legs, 'leg')}, ${crossings} interfaces crossed, ${passes} passes, ` +
        `${client} of them in the client's pod and ${server} in the server's`,
    ),
    frames: pairs.flatMap(([, path]) => framesOf(connectionsOf(facts, path).map(firstOf))),
  });
}

function inPods({ inPods: [client, server] }: Laps): string {
  return client === server ? String(client) : `${client} and ${server}`;
}

function lapsOf(facts: RunFacts, name: string, path: Path): Laps {
  const lack = lackOfPath(facts, path);
  if (lack !== undefined) throw new EvidenceMissing(lack);
  const sightings = connectionsOf(facts, path).flatMap((connection) => connection.sightings);
  const within = (end: Leg['from'] | undefined): number =>
    countPasses(
      sightings
        .filter(({ netns }) => netns === end?.netns)
        .map((sighting) => ({ ...sighting, isBridge: false })),
    );
  const { legs, passes } = path;
  return {
    ...{ name, legs: legs.length, crossings: sightings.length, passes },
    inPods: [within(legs[0]?.from), within(legs.at(-1)?.to)],
  };
}

function connectionsOf(facts: RunFacts, path: Path): readonly Connection[] {
  return path.legs.flatMap(({ connection }) => facts.connections[connection] ?? []);
}

function firstOf({ sightings }: Connection) {
  return sightings[0]!;
}

/** By service nothing is readable between the nodes; by pod IP, the control, everything is. */
export function sidecarsUnreadable(world: ClaimWorld): Finding {
  const { facts } = world;
  const nodes = ['node1', 'node2'] as const;
  const known = checkEncryptedBetween(facts, world.path('sidecarPair'), nodes);
  const unknown = checkPlainBetween(facts, world.path('sidecarByIp'), nodes);
  const both = together(known, unknown);
  if (both.outcome !== 'holds') return both;
  const text = `of services: ${known.text}; what is called by a pod IP is passed through ${unknown.text}`;
  return { ...both, text };
}

/**
 * An Envoy that announces HBONE, as it does in Istio's ambient profile, is reached at 15008; one
 * that does not, at 15006.
 */
export function ambientToSidecar(world: ClaimWorld): Finding {
  const { facts } = world;
  const at15006 = (pod: string) => [
    'captured -> ztunnel:15001',
    `ztunnel -> ${pod}:15006`,
    `envoy(${pod}) -> ${pod}:8080`,
  ];
  const old = checkLegs(facts, world.path('ambientToOld'), at15006('old-far'));
  const today = checkLegs(facts, world.path('ambientToSidecar'), at15006('sidecar-far'));
  const both = together(today, old);
  const evidence = [
    `sidecar without HBONE: ${old.seen}`,
    `sidecar as in Istio's ambient profile: ${today.seen}`,
  ];
  return { ...both, evidence };
}

/** Through ztunnel to the app, at 15008 from an Envoy that sends HBONE, at 15006 from another. */
export function sidecarToAmbient(world: ClaimWorld): Finding {
  const { facts } = world;
  const legs = (client: string, entrance: string) => [
    `${client} -> envoy(${client}):15001`,
    `envoy(${client}) -> captured-far:${entrance}`,
    'ztunnel(node2) -> captured-far:8080',
  ];
  const today = checkLegs(facts, world.path('sidecarToAmbient'), legs('sidecar', '15008 hbone'));
  const old = checkLegs(facts, world.path('oldToAmbient'), legs('old', '15006'));
  const evidence = [`with HBONE: ${today.seen}`, `without: ${old.seen}`];
  const both = together(today, old);
  if (both.outcome !== 'holds') return { ...both, evidence };
  const text = `through ztunnel: at its 15008 from an Envoy that sends HBONE, at its 15006 from another`;
  return { ...both, text, evidence };
}
