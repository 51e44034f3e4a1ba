import { basename } from 'node:path';
import { ipOf } from '../facts/address.ts';
import type { Connection, Leg, Path, RunFacts } from '../facts/facts.ts';
import { endName } from '../facts/end-name.ts';
import { framesOf } from '../judge/evidence.ts';
import { nameOf } from '../judge/places.ts';
import type { FrameRef } from '../judge/verdict.ts';
import { type Baseline, type BaselineBlock, type BaselineFact, oneLine, PART } from './baseline.ts';
import { describeSightings } from './describe-sightings.ts';
import { stableAddress } from './stable-address.ts';

/**
 * Facts of a run's requests: places instead of addresses, legs, tunnels, listening ports, identities,
 * answers, hops, passes, encapsulation and marks, in order.
 */
export function baselineOfRun(facts: RunFacts): Baseline {
  return {
    title: titleOf(facts.topologyFile, facts.era),
    blocks: blocksOf(facts).map(({ block }) => block),
  };
}

/** A block, and the scenario and paths that it tells of. */
export interface RunBlock {
  readonly scenario: string;
  readonly paths: readonly Path[];
  readonly block: BaselineBlock;
}

export function titleOf(topologyFile: string, era: string): string {
  return `${basename(topologyFile)}, era ${era}`;
}

/** A scenario's name as baselines have it. */
export function nameOfScenario(name: string): string {
  return oneLine(name);
}

/** Whether a block tells of a scenario: by its name, or that of a replica, or another outcome. */
export function isBlockOf(blockName: string, scenario: string): boolean {
  const name = nameOfScenario(scenario);
  return (
    blockName === name ||
    blockName.startsWith(`${name} [`) ||
    blockName.startsWith(`${name}${OTHERWISE}`)
  );
}

/** Whether two blocks tell of requests that may come to either. */
export function isAlternative(a: string, b: string): boolean {
  const bare = (name: string): string => name.replace(/, otherwise \d+$/, '');
  return bare(a) === bare(b);
}

/** Key of the fact that not all could be told. */
const INCOMPLETE = 'incomplete';

export function isIncompleteFact({ key }: BaselineFact): boolean {
  return key === INCOMPLETE;
}

/** Follows the name of a scenario whose requests came to different things. */
const OTHERWISE = ', otherwise ';

/**
 * One block for all requests of a scenario that came to the same. Where chance decides which of
 * several replicas answers, one for each that did, named after it.
 */
export function blocksOf(facts: RunFacts): readonly RunBlock[] {
  const groups = new Map<string, Path[]>();
  for (const path of facts.paths) {
    const name = variantName(facts, path);
    groups.set(name, [...(groups.get(name) ?? []), path]);
  }
  const scenarios = [...new Set(facts.paths.map(({ request }) => request.name))];
  return [...groups]
    .sort(([a, [p]], [b, [q]]) => {
      const order = scenarios.indexOf(nameIn(p)) - scenarios.indexOf(nameIn(q));
      return order || (a < b ? -1 : 1);
    })
    .flatMap(([name, paths]) => blocksOfGroup(facts, name, paths));
}

function nameIn(path: Path | undefined): string {
  return path?.request.name ?? '';
}

function blocksOfGroup(facts: RunFacts, name: string, paths: readonly Path[]): readonly RunBlock[] {
  const distinct = new Map<string, { readonly facts: readonly BaselineFact[]; paths: Path[] }>();
  for (const path of paths) {
    const described = describePath(facts, path);
    const text = JSON.stringify(described.map(({ key, value }) => [key, value]));
    const same = distinct.get(text);
    if (same === undefined) distinct.set(text, { facts: described, paths: [path] });
    else same.paths.push(path);
  }
  return [...distinct.values()].map((each, index) => ({
    scenario: each.paths[0]?.request.name ?? name,
    paths: each.paths,
    block: { name: index === 0 ? name : `${name}${OTHERWISE}${index + 1}`, facts: each.facts },
  }));
}

/** The scenario's name, with the replica that answered where there are several. */
function variantName(facts: RunFacts, { request, legs }: Path): string {
  const ip = ipOf(legs.at(-1)?.to.address ?? '');
  const place = facts.places.find(
    ({ kind, addresses }) => kind === 'pod' && addresses.includes(ip),
  );
  const replicas = facts.places.filter(
    ({ workload, namespace }) =>
      workload !== undefined && workload === place?.workload && namespace === place?.namespace,
  );
  const name = nameOfScenario(request.name);
  return replicas.length > 1 ? `${name} [${place?.name ?? ip}]` : name;
}

function describePath(facts: RunFacts, path: Path): readonly BaselineFact[] {
  const { request, legs } = path;
  const first = connectionOf(facts, legs[0])?.sightings ?? [];
  const last = connectionOf(facts, legs.at(-1))?.sightings ?? [];
  const asked = framesOf(first.slice(0, 1));
  const answer = [request.status, request.outcome].filter((each) => each !== undefined).join(' ');
  const source = request.sourceSeenByApp;
  return [
    { key: 'request', value: `${request.from} asks ${request.to}`, frames: asked },
    { key: 'answer', value: answer, frames: asked },
    ...(source === undefined
      ? []
      : [{ key: 'source', value: nameOf(facts, ipOf(source)), frames: framesOf(last.slice(-1)) }]),
    ...legs.flatMap((leg) => describeLeg(facts, leg)),
    ...(path.failure === undefined
      ? []
      : [{ key: 'proxy ended it', value: path.failure, frames: framesOf(last.slice(-1)) }]),
    ...(path.missing.length === 0 ? [] : [{ key: INCOMPLETE, value: 'a leg could not be joined' }]),
    readable(path),
    { key: 'hops', value: String(path.hops), frames: asked },
    { key: 'passes', value: String(path.passes), frames: asked },
  ];
}

/** Where the request could be read by anybody: interfaces with its canary in clear. */
function readable({ canary }: Path): BaselineFact {
  const places = new Set(canary.clear.map((hit) => `${hit.netns}/${hit.interface}`));
  return {
    key: 'readable on',
    value: [...places].sort().join(', ') || 'nothing',
    frames: canary.clear.map(({ file, frames }) => ({ file, frames })),
  };
}

function describeLeg(facts: RunFacts, leg: Leg): readonly BaselineFact[] {
  const connection = connectionOf(facts, leg);
  const sightings = connection?.sightings ?? [];
  const group = `leg ${leg.number}`;
  const frames = framesOf(sightings.slice(0, 1));
  const fact = (
    name: string,
    value: string,
    seenAt: readonly FrameRef[] = frames,
  ): BaselineFact => {
    return { key: `${group}${PART}${name}`, value, frames: seenAt };
  };
  const head = `${endName(leg.from)} -> ${endName(leg.to)}, ${leg.encapsulation} ${leg.protocol}`;
  const { wanted, to } = leg;
  return [
    { key: group, value: head, frames },
    fact('arrives at', stableAddress(facts, to.address), framesOf(sightings.slice(-1))),
    ...(to.listener === undefined ? [] : [fact('listener', String(to.listener))]),
    ...(wanted === undefined ? [] : [fact('wanted', stableAddress(facts, wanted))]),
    fact('ends', endOf(leg, connection)),
    ...describeTunnel(facts, leg, connection).map(([name, value]) => fact(name, value)),
    ...describeSightings(facts, sightings).map(({ key, value, frames: at }) =>
      fact(key, value, at),
    ),
  ];
}

/** A tunnel outlives its streams for as long as the pool likes: only whether it came to be counts. */
function endOf({ encapsulation, hbone, mtls }: Leg, connection: Connection | undefined): string {
  const end = connection?.end ?? 'unknown';
  const isPooled = encapsulation !== 'plain' && (hbone ?? mtls) !== undefined;
  return isPooled && ['closed', 'reset', 'open'].includes(end) ? 'kept in the pool' : end;
}

function describeTunnel(
  facts: RunFacts,
  { hbone, mtls }: Leg,
  connection: Connection | undefined,
): readonly (readonly [name: string, value: string])[] {
  const session = hbone ?? mtls;
  if (session === undefined) return [];
  const { version, cipher, alpn, clientIdentity, serverIdentity } = session;
  const authority = hbone?.stream.authority;
  const asked = authority === undefined ? 'unknown' : stableAddress(facts, authority);
  const state = [connection?.tls?.state ?? 'no TLS', version, cipher, alpn];
  return [
    ['tls', state.filter((each) => each !== undefined).join(' ')],
    ['client', clientIdentity ?? 'no identity'],
    ['server', serverIdentity ?? 'no identity'],
    ...(hbone === undefined
      ? []
      : [['connect', `${asked}: ${hbone.stream.status ?? 'no answer'}`] as const]),
  ];
}

function connectionOf(facts: RunFacts, leg: Leg | undefined): Connection | undefined {
  return leg === undefined ? undefined : facts.connections[leg.connection];
}
