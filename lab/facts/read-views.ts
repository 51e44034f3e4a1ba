import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CAPTURE_FILES } from '../capture/layout.ts';
import { PcapngError } from '../capture/pcapng.ts';
import { conversationEvents, halfOf } from './conversation-events.ts';
import { dissect, type Dissection } from './dissect/dissect.ts';
import type { Connection, DissectedInterface } from './dissect/types.ts';
import type { FrameView, HopView, LayerView, PathViews } from './frame-views.ts';
import type { Leg, Path, RunFacts, Sighting } from './facts.ts';
import { describeFields, flagNames } from './layer-fields.ts';

export interface ReadViewsOptions {
  /** Run directory that the facts were read from. */
  readonly dir: string;
  readonly facts: RunFacts;
  /** Capture bytes to read at most; 128 MiB unless given. */
  readonly maxBytes?: number;
}

export interface RunViews {
  readonly of: (path: Path) => PathViews | undefined;
  /** Why there are none, where there are none. */
  readonly missing?: string;
}

const MAX_BYTES = 128 * 1024 * 1024;
/** Frames shown of one sighting. */
const MOST_FRAMES = 14;

/**
 * Opens the frames of each leg, on each interface that saw it, down to their headers. What cannot
 * be read is left out and named, never an exception.
 */
export async function readViews(options: ReadViewsOptions): Promise<RunViews> {
  try {
    const capture = await dissectRun(options);
    const byName = new Map(capture.interfaces.map((each) => [each.name, each]));
    return { of: (path) => viewPath(options.facts, path, capture, byName) };
  } catch (error) {
    const isKnown = error instanceof PcapngError || (error instanceof Error && 'code' in error);
    if (!isKnown) throw error;
    return { of: () => undefined, missing: error.message };
  }
}

const APPLICATION_DATA: LayerView = {
  name: 'TLS record',
  fields: [
    ['on the wire', 'application data'],
    ['decrypted', 'with the key log of the run'],
  ],
};

/** The captures are more than is read for a report. */
class TooMuchError extends Error {
  override readonly name = 'TooMuchError';
  readonly code = 'LAB_CAPTURES_TOO_LARGE';
}

async function dissectRun({ dir, facts, maxBytes }: ReadViewsOptions): Promise<Dissection> {
  const files = [...new Set(facts.interfaces.map(({ file }) => file))];
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(dir, file))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const limit = maxBytes ?? MAX_BYTES;
  if (total > limit) {
    throw new TooMuchError(`the captures are ${total} bytes, a report opens ${limit} at most`);
  }
  const buffers: Buffer[] = [];
  for (const [index, file] of files.entries()) {
    await using handle = await open(join(dir, file), 'r');
    const buffer = Buffer.allocUnsafeSlow(sizes[index] ?? 0);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    buffers.push(buffer.subarray(0, bytesRead));
  }
  const keyLog = await readFile(join(dir, CAPTURE_FILES.keys), 'utf8').catch(() => '');
  return dissect(buffers, keyLog);
}

function viewPath(
  facts: RunFacts,
  path: Path,
  capture: Dissection,
  byName: ReadonlyMap<string, DissectedInterface>,
): PathViews {
  return path.legs.map((leg) => {
    const sightings = facts.connections[leg.connection]?.sightings ?? [];
    return sightings.map((sighting, index) => {
      const on = byName.get(`${sighting.netns}/${sighting.interface}`);
      if (on === undefined) return { frames: [], others: sighting.frames };
      const passage = leg.passages[index]?.frame ?? sighting.firstFrame;
      return viewHop({ leg, sighting, on, capture, passage });
    });
  });
}

interface Hop {
  readonly leg: Leg;
  readonly sighting: Sighting;
  readonly on: DissectedInterface;
  readonly capture: Dissection;
  /** Frame that carried the request here. */
  readonly passage: number;
}

/** What is told of one frame beside its packet headers. */
interface Told {
  readonly says: string[];
  readonly layers: LayerView[];
}

function viewHop(hop: Hop): HopView {
  const { on, sighting, passage } = hop;
  const row = on.frames.rowOf(passage);
  const connection = on.connections[on.frames.connections[row] ?? -1];
  const told = connection === undefined ? new Map<number, Told>() : tell(hop, connection);
  if (connection === undefined) {
    for (const number of sighting.frameNumbers) told.set(number, { says: [], layers: [] });
  }
  if (!told.has(passage)) told.set(passage, { says: [], layers: [] });
  const numbers = [...told.keys()].sort((a, b) => a - b);
  const kept = numbers.slice(0, MOST_FRAMES);
  if (!kept.includes(passage)) kept.splice(-1, 1, passage);
  const frames = kept.flatMap((number) => viewFrame(hop, number, told.get(number)) ?? []);
  return { frames, others: Math.max(0, sighting.frames - frames.length) };
}

function tell({ leg, capture }: Hop, connection: Connection): Map<number, Told> {
  const told = new Map<number, Told>();
  const add = (number: number | undefined, says: string, layer?: LayerView): void => {
    if (number === undefined) return;
    const entry = told.get(number) ?? { says: [], layers: [] };
    told.set(number, entry);
    if (says !== '') entry.says.push(says);
    if (layer !== undefined) entry.layers.push(layer);
  };
  const withHandshake = leg.reused !== true;
  for (const half of withHandshake ? [connection.fromClient, connection.fromServer] : []) {
    for (const frame of [...half.synFrames, ...half.finFrames, ...half.rstFrames]) add(frame, '');
  }
  const conversation = capture.conversations[connection.conversation];
  if (conversation === undefined) return told;
  const events = conversationEvents(conversation, {
    stream: leg.hbone?.stream.stream,
    withHandshake,
  });
  for (const { side, at, says, layer, isInTls } of events) {
    const frame = halfOf(connection, side).segments.framesOf(at)[0];
    const hasRecord = told.get(frame ?? -1)?.layers.includes(APPLICATION_DATA) ?? false;
    if (isInTls === true && !hasRecord) add(frame, '', APPLICATION_DATA);
    add(frame, says, layer);
  }
  return told;
}

function viewFrame(
  { on, sighting }: Hop,
  number: number,
  told: Told | undefined,
): FrameView | undefined {
  const frame = on.frames.at(number);
  if (frame === undefined) return undefined;
  const row = on.frames.rowOf(number);
  const source = `${on.frames.source(row)}:${on.frames.sourcePorts[row]}`;
  const source6 = `[${on.frames.source(row)}]:${on.frames.sourcePorts[row]}`;
  const tcp = frame.layers.findLast(({ kind }) => kind === 'tcp');
  const flags = tcp?.kind === 'tcp' ? flagNames(tcp.flags & ~0x08) : '';
  const isPlainAck = flags === 'ACK' && (told?.says.length ?? 0) > 0;
  return {
    number,
    timeNs: String(frame.timeNs),
    isFromClient: source === sighting.client || source6 === sighting.client,
    originalBytes: frame.originalBytes,
    ...(frame.mark !== undefined && { mark: frame.mark }),
    says: [...(isPlainAck || flags === '' ? [] : [flags]), ...counted(told?.says ?? [])].join(
      ' · ',
    ),
    layers: [...describeFields(frame.layers), ...(told?.layers ?? [])],
  };
}

/** The same text several times is said once, with how often. */
function counted(texts: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text} ×${count}`));
}
