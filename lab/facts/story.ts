import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { encodePacket, encodePcapngHead } from '../capture/pcapng-write.ts';
import { addressesOf, nodeAddresses, vipsOf } from '../plan/families.ts';
import type { Plan } from '../plan/plan.ts';
import { endName } from './end-name.ts';
import type { Connection, Leg, Path, RunFacts, Sighting } from './facts.ts';
import { readStoryFrames, type StoryFrame } from './story-frames.ts';

export interface WriteStoryOptions {
  /** Run directory; the story goes to `story.pcapng` in it. */
  readonly dir: string;
  readonly plan: Plan;
  readonly facts: RunFacts;
}

/** Frames kept of one connection; a longer one is cut here, which the file says. */
const MAX_FRAMES = 4096;

/** Packets written at once, so that a story of many connections is not held twice in memory. */
const BATCH = 512;

/**
 * Writes `story.pcapng`: every connection of the run's paths once, as its client's namespace saw it,
 * in order of time; TLS secrets first, so that everything after decrypts; names of pods, nodes and
 * services; a comment where a leg begins. Without requests, every connection of the capture.
 */
export async function writeStory({ dir, plan, facts }: WriteStoryOptions): Promise<void> {
  const chapters = chaptersOf(facts);
  const frames = await readChapters(dir, chapters);
  const keyLog = await readFile(join(dir, CAPTURE_FILES.keys), 'utf8').catch(() => '');
  const interfaces = [...new Set(chapters.map(({ sighting }) => placeOf(sighting)))];
  const isCut = chapters.some(({ sighting }) => sighting.frames > MAX_FRAMES);
  const head = encodePcapngHead({
    application: 'ambient-lab',
    comment: `${facts.lab}, era ${facts.era}${isCut ? `; long connections end after ${MAX_FRAMES} frames` : ''}`,
    keyLog,
    names: namesOf(plan),
    interfaces: interfaces.map((name) => ({ name })),
  });
  await using file = await open(join(dir, CAPTURE_FILES.story), 'w');
  await file.write(head);
  for (let at = 0; at < frames.length; at += BATCH) {
    const packets = frames.slice(at, at + BATCH).map((each) => encodeFrame(each, interfaces));
    await file.write(Buffer.concat(packets));
  }
}

/** One connection and what is told of it at its first frame. */
interface Chapter {
  readonly connection: Connection;
  readonly sighting: Sighting;
  readonly comments: readonly string[];
}

function chaptersOf({ connections, paths }: RunFacts): readonly Chapter[] {
  const told = new Map<number, string[]>();
  for (const path of paths) {
    for (const leg of path.legs) {
      const comments = told.get(leg.connection) ?? [];
      told.set(leg.connection, [...comments, commentOf(path, leg.number - 1)]);
    }
  }
  return connections
    .filter(({ id }) => paths.length === 0 || told.has(id))
    .flatMap((connection) => {
      const sighting = connection.sightings[0];
      const comments = told.get(connection.id) ?? [];
      return sighting === undefined ? [] : [{ connection, sighting, comments }];
    });
}

function commentOf(path: Path, index: number): string {
  const leg = path.legs[index];
  if (leg === undefined) return '';
  const how = wrappingOf(leg);
  return `leg ${leg.number} of "${path.request.name}": ${endName(leg.from)} → ${endName(leg.to)}, ${how}`;
}

function wrappingOf({ hbone, encapsulation }: Leg): string {
  if (hbone !== undefined) return `HBONE stream ${hbone.stream.stream}`;
  return encapsulation === 'mtls' ? 'mTLS of sidecars' : 'plain';
}

async function readChapters(dir: string, chapters: readonly Chapter[]): Promise<StoryFrame[]> {
  const frames: StoryFrame[] = [];
  for (const [file, some] of grouped(chapters)) {
    frames.push(...(await readStoryFrames(join(dir, file), some, MAX_FRAMES)));
  }
  return frames.sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0));
}

function grouped(chapters: readonly Chapter[]): Map<string, Chapter[]> {
  const groups = new Map<string, Chapter[]>();
  for (const each of chapters) {
    const group = groups.get(each.sighting.file);
    if (group === undefined) groups.set(each.sighting.file, [each]);
    else group.push(each);
  }
  return groups;
}

function encodeFrame(frame: StoryFrame, interfaces: readonly string[]): Buffer {
  const { direction } = frame;
  return encodePacket({
    interfaceId: interfaces.indexOf(frame.place),
    timeNs: frame.timeNs,
    data: frame.data,
    originalBytes: frame.originalBytes,
    ...(direction !== undefined && { direction }),
    ...(frame.mark !== 0 && { mark: frame.mark }),
    comments: frame.comments,
  });
}

function placeOf({ netns, interface: name }: Sighting): string {
  return `${netns}/${name}`;
}

/** What Wireshark shows in place of addresses. */
function* namesOf(plan: Plan): Iterable<readonly [string, string]> {
  for (const pod of plan.pods) {
    for (const address of addressesOf(pod)) yield [address, `${pod.name}.${pod.namespace}`];
  }
  for (const node of plan.nodes) {
    for (const { address, gateway, ztunnelAddress } of nodeAddresses(node)) {
      yield [address, node.name];
      yield [gateway, `${node.name}-gateway`];
      yield [ztunnelAddress, `ztunnel-${node.name}`];
    }
  }
  for (const address of addressesOf(plan.outside)) yield [address, 'outside'];
  for (const service of plan.services) {
    for (const vip of vipsOf(service)) yield [vip, `${service.name}.${service.namespace}.svc`];
  }
}
