import { isIPv4 } from 'node:net';
import { describeLayers } from './describe-frame.ts';
import type { Dissection } from './dissect.ts';
import { FRAME_META } from './frame-meta.ts';
import type { FrameTable } from './frame-table.ts';
import { headerOf } from './http2-streams.ts';
import { LineBuffer } from './line-buffer.ts';
import type { StreamSegments } from './segments.ts';
import type { Connection, Conversation, DissectedInterface, Http2Frame, TlsHalf } from './types.ts';

/** Columns of {@link columnChunks}, by tshark's names; values that repeat are joined by commas. */
export const COLUMNS = [
  'frame.number',
  'frame.time_epoch',
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.flags',
  'tcp.len',
  'tls.record.opaque_type',
  'tls.record.content_type',
  'http2.type',
  'http2.headers.method',
  'http2.headers.authority',
  'http2.headers.status',
] as const;

/** What is told of a frame beyond its own headers, as text by row; '' where there is nothing. */
type StreamColumns = Readonly<Record<(typeof STREAM_COLUMNS)[number], string[]>>;

const STREAM_COLUMNS = [
  'opaqueTypes',
  'contentTypes',
  'http2Types',
  'methods',
  'authorities',
  'statuses',
] as const;

/**
 * One line a frame of an interface, columns parted by tabs: what `tshark -T fields` prints for
 * {@link COLUMNS}. Records and HTTP/2 frames stand at the frame that completes them. Lines come in
 * chunks of many, valid until the next is asked for.
 */
export function* columnChunks(
  capture: Dissection,
  observed: DissectedInterface,
): Generator<Buffer> {
  const writer = new RowWriter(observed.frames, streamColumns(capture, observed));
  for (let row = 0; row < observed.frames.count;) {
    row = writer.write(row);
    yield writer.out.take();
  }
}

/** Writes rows until a chunk is full; not in the generator, which the engine would not compile. */
class RowWriter {
  readonly out = new LineBuffer();
  readonly #frames: FrameTable;
  readonly #columns: readonly (readonly string[])[];
  readonly #addresses: AddressText;
  readonly #baseSeconds: number;

  constructor(frames: FrameTable, streams: StreamColumns) {
    this.#frames = frames;
    this.#columns = STREAM_COLUMNS.map((name) => streams[name]);
    this.#addresses = new AddressText(frames);
    this.#baseSeconds = Number(frames.baseNs / 1_000_000_000n);
  }

  /** Writes from `row` on; returns the row after the last written. */
  write(row: number): number {
    for (let end = Math.min(this.#frames.count, row + ROWS_PER_CHUNK); row < end; row++) {
      this.#writeRow(row);
    }
    return row;
  }

  #writeRow(row: number): void {
    const frames = this.#frames;
    const { out } = this;
    out.decimal(frames.numbers[row]!);
    out.tab();
    out.time(this.#baseSeconds, frames.times[row]!);
    out.tab();
    out.text(this.#addresses.of(row));
    writeTcp(out, frames, row);
    for (let i = 0; i < this.#columns.length; i++) {
      out.tab();
      const text = this.#columns[i]![row]!;
      if (text !== '') out.text(text);
    }
    out.endLine();
  }
}

const ROWS_PER_CHUNK = 4096;

/** All lines of {@link columnChunks} as text. */
export function columnText(capture: Dissection, observed: DissectedInterface): string {
  let text = '';
  for (const chunk of columnChunks(capture, observed)) text += chunk.toString('latin1');
  return text;
}

function writeTcp(out: LineBuffer, frames: FrameTable, row: number): void {
  if (frames.connections[row]! < 0) return out.text('\t\t\t\t');
  out.tab();
  out.decimal(frames.sourcePorts[row]!);
  out.tab();
  out.decimal(frames.destinationPorts[row]!);
  out.tab();
  out.text(FLAG_TEXT[frames.tcpFlags[row]!]!);
  out.tab();
  out.decimal(frames.payloadBytes[row]!);
}

const FLAG_TEXT = Array.from(
  { length: 256 },
  (_, flags) => `0x${flags.toString(16).padStart(4, '0')}`,
);

function streamColumns(capture: Dissection, observed: DissectedInterface): StreamColumns {
  const empty = (): string[] => new Array<string>(observed.frames.count).fill('');
  const columns: StreamColumns = {
    opaqueTypes: empty(),
    contentTypes: empty(),
    http2Types: empty(),
    methods: empty(),
    authorities: empty(),
    statuses: empty(),
  };
  for (const connection of observed.connections) {
    const conversation = capture.conversations[connection.conversation]!;
    const hasStreams = conversation.tls !== undefined || conversation.http2 !== undefined;
    if (hasStreams) addConversation(columns, connection, conversation);
  }
  return columns;
}

function addConversation(
  columns: StreamColumns,
  connection: Connection,
  { tls, http2 }: Conversation,
): void {
  const rowsOf = {
    client: new RowFinder(connection.fromClient.segments),
    server: new RowFinder(connection.fromServer.segments),
  };
  for (const side of ['client', 'server'] as const) {
    if (tls) addRecords(columns, rowsOf[side], tls[side], tls.version === 'TLS 1.3');
    if (http2) addFrames(columns, rowsOf[side], http2[side]);
  }
}

function addRecords(
  columns: StreamColumns,
  rows: RowFinder,
  { records }: TlsHalf,
  isTls13: boolean,
): void {
  rows.rewind();
  for (let i = 0; i < records.count; i++) {
    const row = rows.find(records.ends[i]! - 1);
    if (row < 0) continue;
    const outer = records.outerTypes[i]!;
    if (isTls13 && outer === 23) append(columns.opaqueTypes, row, '23');
    const type = isTls13 ? records.types[i]! : outer;
    if (type !== 0) append(columns.contentTypes, row, String(type));
  }
}

function addFrames(columns: StreamColumns, rows: RowFinder, frames: readonly Http2Frame[]): void {
  rows.rewind();
  for (const frame of frames) {
    const row = rows.find(frame.end - 1);
    if (row < 0) continue;
    append(columns.http2Types, row, String(frame.type));
    if (!frame.headers) continue;
    const method = headerOf(frame.headers, ':method');
    const authority = headerOf(frame.headers, ':authority');
    const status = headerOf(frame.headers, ':status');
    if (method !== undefined) append(columns.methods, row, method);
    if (authority !== undefined) append(columns.authorities, row, authority);
    if (status !== undefined) append(columns.statuses, row, status);
  }
}

function append(column: string[], row: number, text: string): void {
  column[row] = column[row] === '' ? text : `${column[row]},${text}`;
}

/** Finds the rows of stream positions that ascend, without searching for each anew. */
class RowFinder {
  readonly #segments: StreamSegments;
  #near = 0;

  constructor(segments: StreamSegments) {
    this.#segments = segments;
  }

  rewind(): void {
    this.#near = 0;
  }

  /** Row of the frame with the byte at `position`, not below the last asked; -1 in a gap. */
  find(position: number): number {
    const { starts, lengths, count } = this.#segments;
    while (this.#near < count && starts[this.#near]! + lengths[this.#near]! <= position)
      this.#near++;
    if (this.#near >= count || starts[this.#near]! > position) return -1;
    return this.#segments.row(this.#near);
  }
}

/** The four address columns of a frame; most frames of a capture share a few texts. */
class AddressText {
  readonly #frames: FrameTable;
  readonly #known = new Map<number, string>();

  constructor(frames: FrameTable) {
    this.#frames = frames;
  }

  of(row: number): string {
    const { meta, ipOffsets, connections } = this.#frames;
    if (meta[row]! & FRAME_META.encapsulated) return this.#layered(row);
    if (ipOffsets[row] === 0) return '\t\t\t';
    const connection = connections[row]!;
    // The two directions of a connection have one text each; its source port tells them apart.
    const key = connection < 0 ? -1 : connection * 0x10000 + this.#frames.sourcePorts[row]!;
    const known = key < 0 ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const addresses = `${this.#frames.source(row)}\t${this.#frames.destination(row)}`;
    const text = meta[row]! & FRAME_META.ipv6 ? `\t\t${addresses}` : `${addresses}\t\t`;
    if (key >= 0) this.#known.set(key, text);
    return text;
  }

  #layered(row: number): string {
    const layers = describeLayers(this.#frames.linkType, this.#frames.bytes(row)).flatMap(
      (layer) => (layer.kind === 'ipv4' || layer.kind === 'ipv6' ? [layer] : []),
    );
    const [four, six] = [true, false].map((isFour) => {
      const those = layers.filter(({ source }) => isIPv4(source) === isFour);
      const join = (end: 'source' | 'destination') => those.map((layer) => layer[end]).join(',');
      return `${join('source')}\t${join('destination')}`;
    });
    return `${four}\t${six}`;
  }
}
