import type { Plan } from '../plan/plan.ts';
import type { CanaryContext } from './canary-facts.ts';
import { describeCanary } from './canary-facts.ts';
import { ConnectionIndex, LegRecordIndex } from './connection-index.ts';
import { ConntrackIndex } from './conntrack-index.ts';
import { describeConnection, unixNs } from './describe-connection.ts';
import { tunnelKindOf } from './tunnel-kind.ts';
import { describeInterface, describePlaces, findProblems } from './describe-run.ts';
import type { Dissection } from './dissect/dissect.ts';
import type { Conversation, DissectedCapture, DissectedInterface } from './dissect/types.ts';
import { FRAME_META } from './dissect/frame-meta.ts';
import type { EvidenceFiles } from './evidence-files.ts';
import type { CanaryFacts, Connection, InterfaceFacts, Problem, RunFacts } from './facts.ts';
import { FACTS_SCHEMA } from './facts.ts';
import { findCanaries, type FoundCanary } from './find-canaries.ts';
import { collectHalves } from './half-flow-table.ts';
import type { MatchedConnection, SeenConversation } from './match-connections.ts';
import { matchConnections } from './match-connections.ts';
import type { NetnsMap } from './netns-map.ts';
import { mapNetns } from './netns-map.ts';
import { pairHalves } from './pair-halves.ts';
import { openingPassages, streamPassages } from './passages.ts';
import type { RequestResult } from './request.ts';
import { stitchPath } from './stitch.ts';
import type { StitchContext } from './stitch-context.ts';
import { describeAllTls } from './tls-facts.ts';

/** A capture that has been read, and all that was written down beside it. */
export interface CaptureInput {
  readonly plan: Plan;
  readonly requests: readonly RequestResult[];
  readonly capture: Dissection;
  readonly evidence: EvidenceFiles;
  /** File of an interface (`netns/name`), below the run directory. */
  readonly fileOf: (interfaceName: string) => string;
}

/** Facts of a dissected capture: connections, paths and what is missing. Touches no file. */
export function analyseCapture(input: CaptureInput): RunFacts {
  const { plan, capture, evidence } = input;
  const map = mapNetns(plan);
  const matching = matchAll(input, map);
  const tls = describeAllTls(capture.conversations, timeOfByte(capture));
  const connections = matching.connections.map((matched, id) =>
    describeConnection(matched, {
      id,
      baseNs: matching.baseNs,
      map,
      tls: tls[matching.conversationOf(matched) ?? -1],
    }),
  );
  const interfaces = describeInterfaces(input, map);
  const tunnels = tunnelKindOf(plan.era, evidence.recording);
  const context = stitchContext(input, map, matching, connections);
  return {
    schema: FACTS_SCHEMA,
    lab: plan.lab,
    topologyFile: plan.topologyFile,
    era: plan.era,
    ...(tunnels && { tunnels }),
    startedNs: evidence.recording?.startedNs ?? '0',
    stoppedNs: evidence.recording?.stoppedNs ?? '0',
    hasMarks: evidence.recording?.hasMarks ?? false,
    snapLength: evidence.recording?.snapLength ?? 0,
    interfaces,
    places: describePlaces(plan, map),
    connections,
    paths: input.requests.map((request) => stitchPath(request, context)),
    problems: [
      ...evidence.problems,
      ...findProblems(evidence.recording, interfaces),
      ...keyProblems(connections),
    ],
  };
}

interface Matching {
  readonly baseNs: bigint;
  readonly conntrack: ConntrackIndex;
  readonly connections: readonly MatchedConnection[];
  /** Index of the dissected conversation a connection is; undefined for UDP. */
  readonly conversationOf: (matched: MatchedConnection) => number | undefined;
  readonly interfaceOf: (seen: SeenConversation) => DissectedInterface | undefined;
}

function matchAll({ capture, evidence, fileOf }: CaptureInput, map: NetnsMap): Matching {
  const conntrack = new ConntrackIndex(evidence.conntrack);
  const baseNs = capture.interfaces.find(({ frames }) => frames.count > 0)?.frames.baseNs ?? 0n;
  const byName = new Map(capture.interfaces.map((each) => [each.name, each]));
  const seen = capture.interfaces.flatMap((each) => seeConversations(each, baseNs, fileOf));
  const connections = matchConnections(seen, { conntrack, baseNs, peerOf: map.peerOf });
  const interfaceOf = ({ netns, interface: name }: SeenConversation) =>
    byName.get(`${netns}/${name}`);
  const conversationOf = ({ sightings: [first] }: MatchedConnection): number | undefined => {
    const on = first && interfaceOf(first);
    const row = on?.frames.rowOf(first?.forward.firstFrames[0] ?? -1) ?? -1;
    return on?.connections[on.frames.connections[row] ?? -1]?.conversation;
  };
  return { baseNs, conntrack, connections, conversationOf, interfaceOf };
}

function seeConversations(
  on: DissectedInterface,
  baseNs: bigint,
  fileOf: CaptureInput['fileOf'],
): readonly SeenConversation[] {
  const place = { netns: on.netns, interface: on.ifname, file: fileOf(on.name) };
  return pairHalves(collectHalves(on, baseNs)).map((each) => ({ ...each, ...place }));
}

/** Interfaces that were dissected, and those that were recorded but have no readable file. */
function describeInterfaces(
  { capture, evidence, fileOf }: CaptureInput,
  map: NetnsMap,
): readonly InterfaceFacts[] {
  const told = evidence.recording?.interfaces ?? [];
  const read = capture.interfaces.map(({ name, netns, ifname, frames }) =>
    describeInterface(map, {
      netns,
      name: ifname,
      file: fileOf(name),
      frames: frames.count,
      kernelDrops:
        told.find((each) => each.netns === netns && each.name === ifname)?.kernelDrops ?? 0,
      clippedFrames: countClipped(frames.meta, frames.count),
    }),
  );
  const names = new Set(capture.interfaces.map(({ name }) => name));
  const unread = told
    .filter((each) => !names.has(`${each.netns}/${each.name}`))
    .map(({ netns, name, kernelDrops }) => {
      const file = fileOf(`${netns}/${name}`);
      return describeInterface(map, {
        netns,
        name,
        file,
        kernelDrops,
        frames: 0,
        clippedFrames: 0,
      });
    });
  return [...read, ...unread];
}

function countClipped(meta: Uint8Array, count: number): number {
  let clipped = 0;
  for (let row = 0; row < count; row++) if ((meta[row]! & FRAME_META.clipped) !== 0) clipped++;
  return clipped;
}

function stitchContext(
  { capture, fileOf, requests, evidence }: CaptureInput,
  map: NetnsMap,
  matching: Matching,
  connections: readonly Connection[],
): StitchContext {
  const conversations = matching.connections.map(matching.conversationOf);
  const idOf = new Map(conversations.map((conversation, id) => [conversation, id]));
  const found = findCanaries(
    capture,
    requests.map(({ canary }) => canary),
  );
  const canaryContext: CanaryContext = { fileOf, connectionOf: (each) => idOf.get(each) };
  const facts = new Map<string, CanaryFacts>(
    [...found].map(([canary, places]) => [canary, describeCanary(canary, places, canaryContext)]),
  );
  const carriers = carriersOf(found, idOf);
  return {
    connections: new ConnectionIndex(connections, matching.conntrack),
    records: new LegRecordIndex(evidence.legs, map),
    conntrack: matching.conntrack,
    map,
    canariesOn: ({ id }) => carriers.get(id) ?? new Set(),
    canariesIn: ({ id }, stream) =>
      new Set(
        [...facts.values()]
          .filter((each) =>
            each.decrypted.some((at) => at.connection === id && at.stream === stream),
          )
          .map(({ canary }) => canary),
      ),
    canaryFacts: (canary) => facts.get(canary) ?? { canary, clear: [], decrypted: [] },
    passages: passagesOf(matching, connections),
  };
}

/** Canaries that stand in clear in frames of each connection. */
function carriersOf(
  found: ReadonlyMap<string, readonly FoundCanary[]>,
  idOf: ReadonlyMap<number | undefined, number>,
): ReadonlyMap<number, ReadonlySet<string>> {
  const carriers = new Map<number, Set<string>>();
  for (const [canary, places] of found) {
    for (const { kind, conversation } of places) {
      const id = conversation === undefined ? undefined : idOf.get(conversation);
      if (kind !== 'clear' || id === undefined) continue;
      const set = carriers.get(id) ?? new Set();
      carriers.set(id, set.add(canary));
    }
  }
  return carriers;
}

function passagesOf(
  matching: Matching,
  connections: readonly Connection[],
): StitchContext['passages'] {
  const toUnixNs = (sinceNs: number): string => unixNs(matching.baseNs, sinceNs);
  return ({ id }, stream) => {
    const sightings = matching.connections[id]?.sightings ?? [];
    if (stream === undefined) return openingPassages(sightings, toUnixNs);
    const position = connections[id]?.tls?.streams.find((each) => each.stream === stream)?.position;
    if (position === undefined) return sightings.map(() => undefined);
    return streamPassages(sightings, position, (seen) => {
      const on = matching.interfaceOf(seen);
      const row = on?.frames.rowOf(seen.forward.firstFrames[0] ?? -1) ?? -1;
      const connection = on?.connections[on.frames.connections[row] ?? -1];
      return on === undefined || connection === undefined ? undefined : { on, connection };
    });
  };
}

/** Time of the frame that holds a byte of what the client sent, where it was read. */
function timeOfByte({ interfaces }: DissectedCapture) {
  const byName = new Map(interfaces.map((each) => [each.name, each]));
  return ({ best }: Conversation, position: number): bigint | undefined => {
    const frames = byName.get(best.interface)?.frames;
    const frame = best.fromClient.segments.frameAt(position);
    return frames === undefined || frame === undefined
      ? undefined
      : frames.timeNs(frames.rowOf(frame));
  };
}

function keyProblems(connections: readonly Connection[]): readonly Problem[] {
  return connections.flatMap(({ id, client, server, tls }) => {
    if (tls?.state !== 'no-keys' && tls?.state !== 'wrong-keys') return [];
    const text = `cannot decrypt ${client} → ${server}: ${tls.reason ?? tls.state}`;
    return [{ kind: tls.state, text, connection: id }];
  });
}
