import { splitAddress } from '../facts/address.ts';
import type { Connection, Leg, Path, RunFacts, Sighting } from '../facts/facts.ts';
import { nameOf } from '../judge/places.ts';
import type { LadderOptions } from './ladder.ts';
import {
  endText,
  kindOf,
  marksText,
  passText,
  sinceText,
  translationsBefore,
  translationsInside,
  tunnelTexts,
} from './leg-words.ts';
import { columns, formatBytes, formatUs, pad, spread, styled, wrap } from './text.ts';

/** Widths of the columns of a ladder, the same for all legs so that they stand in line. */
export interface ColumnWidths {
  readonly place: number;
  readonly marks: number;
  readonly pass: number;
  readonly frame: number;
}

/** Widths that all sightings of a path fit in. */
export function columnWidths(facts: RunFacts, path: Path): ColumnWidths {
  const cells = path.legs.flatMap((leg) => {
    const sightings = facts.connections[leg.connection]?.sightings ?? [];
    return sightings.map((_, index) => cellsOf(facts, leg, sightings, index));
  });
  const widest = (pick: (each: Cells) => string, least: number): number =>
    Math.max(least, ...cells.map((each) => columns(pick(each))));
  return {
    place: widest(({ place }) => place, 16),
    marks: widest(({ marks }) => marks, 0),
    pass: widest(({ pass }) => pass, 7),
    frame: widest(({ frame }) => frame, 3),
  };
}

/** One leg of a ladder: heading, what it is wrapped in, and a line for each sighting. */
export function renderLeg(
  facts: RunFacts,
  path: Path,
  index: number,
  widths: ColumnWidths,
  options: LadderOptions,
): readonly string[] {
  const leg = path.legs[index];
  const connection = facts.connections[leg?.connection ?? -1];
  if (leg === undefined || connection === undefined) return [];
  return [
    renderHeading(path, leg, options),
    ...renderAddresses(facts, leg, connection, options),
    ...renderTunnel(leg, connection, options),
    ...renderSightings(facts, leg, connection, widths, options),
  ];
}

function renderHeading(path: Path, leg: Leg, options: LadderOptions): string {
  const who = `${endText(leg.from)} → ${endText(leg.to)}`;
  const number = ` ${leg.number}  `;
  const left = `${number}${styled(who, 'bold', options)}  ${kindOf(leg)}`;
  const start = path.legs[0]?.passages[0]?.timeNs ?? path.legs[0]?.startedNs;
  const here = leg.passages[0]?.timeNs;
  if (start === undefined || here === undefined) return left;
  const sinceUs = Number(BigInt(here) - BigInt(start)) / 1000;
  return spread(left, `at ${formatUs(sinceUs)}`, options.width);
}

function renderAddresses(
  facts: RunFacts,
  leg: Leg,
  connection: Connection,
  options: LadderOptions,
): readonly string[] {
  const { listener } = leg.to;
  const isHidden = listener !== undefined && !leg.to.address.endsWith(`:${listener}`);
  const tuple = `    ${leg.from.address} → ${leg.to.address}`;
  const taken = isHidden ? `, taken by :${listener}` : '';
  const wanted =
    leg.wanted === undefined ? '' : `, wanted ${leg.wanted}${named(facts, leg.wanted)}`;
  const { bytesSent, bytesReceived } = leg.hbone?.stream ?? connection;
  const bytes = `→ ${formatBytes(bytesSent)}  ← ${formatBytes(bytesReceived)}`;
  const left = tuple + taken + wanted + (ENDINGS[connection.end] ?? '');
  const right = styled(bytes, 'dim', options);
  if (columns(left) + 2 + columns(right) <= options.width) {
    return [spread(left, right, options.width)];
  }
  return [...indented(left.trim(), options), spread('', right, options.width)];
}

/** Below the heading of its leg, on as many lines as it takes. */
function indented(text: string, { width }: LadderOptions): readonly string[] {
  const [first = '', ...rest] = wrap(text, width - 4, '    ');
  return [`    ${first}`, ...rest];
}

const ENDINGS: Readonly<Partial<Record<Connection['end'], string>>> = {
  refused: ', refused',
  reset: ', reset',
  unanswered: ', no answer',
};

function named(facts: RunFacts, address: string): string {
  const { ip } = splitAddress(address);
  const name = nameOf(facts, ip);
  return name === ip ? '' : ` (${name})`;
}

function renderTunnel(leg: Leg, { tls }: Connection, options: LadderOptions): readonly string[] {
  const { hbone } = leg;
  const session = hbone ?? leg.mtls;
  if (session === undefined) return [];
  const stream = hbone?.stream;
  const answer = stream?.status === undefined ? 'no answer' : String(stream.status);
  const connect =
    stream?.authority === undefined ? [] : [`    CONNECT ${stream.authority} → ${answer}`];
  if (tls?.state === 'cleartext') return ['    HTTP/2 without TLS', ...connect];
  if (tls?.state !== 'decrypted') {
    return [`    TLS, not decrypted: ${tls?.reason ?? 'no secrets'}`, ...connect];
  }
  const identities = `${session.clientIdentity ?? 'no identity'} ⇄ ${session.serverIdentity ?? 'no identity'}`;
  const sni = leg.mtls?.sni === undefined ? '' : `SNI ${leg.mtls.sni}`;
  const age = tls.isResumed === true ? 'session resumed' : '';
  const parts = [session.version, session.cipher, session.alpn, sni, age];
  const cipher = parts.filter(Boolean).join(' · ');
  const both = [cipher, ...connect.map((text) => text.trim())].join(' · ');
  const words =
    columns(both) + 4 <= options.width ? [`    ${both}`] : [`    ${cipher}`, ...connect];
  return [...words, ...indented(identities, options)];
}

interface Cells {
  readonly place: string;
  readonly marks: string;
  readonly pass: string;
  readonly frame: string;
}

function cellsOf(facts: RunFacts, leg: Leg, sightings: readonly Sighting[], index: number): Cells {
  const sighting = sightings[index]!;
  return {
    place: `${sighting.netns}/${sighting.interface}`,
    marks: marksText(sighting),
    pass: passText(facts, sightings, index),
    frame: `#${leg.passages[index]?.frame ?? sighting.firstFrame}`,
  };
}

function renderSightings(
  facts: RunFacts,
  leg: Leg,
  { sightings }: Connection,
  widths: ColumnWidths,
  options: LadderOptions,
): readonly string[] {
  const inside = translationsInside(leg, sightings.at(-1)).map((text) => `    └   NAT: ${text}`);
  const rows = sightings.flatMap((sighting, index) => {
    const cells = cellsOf(facts, leg, sightings, index);
    const rung = index === sightings.length - 1 && inside.length === 0 ? '└' : '├';
    const row = [
      pad(cells.place, widths.place),
      pad(sighting.direction, 4),
      pad(`ttl ${sighting.ttl}`, 7),
      pad(cells.pass, widths.pass),
      pad(cells.frame, widths.frame),
    ];
    const since = styled(sinceText(leg, index), 'dim', options);
    const nat = translationsBefore(leg, sightings, index).map((text) => `    │   NAT: ${text}`);
    const isLast = index === sightings.length - 1 && inside.length === 0;
    // From one link to the next the wrapping stays: it is told where it begins or changes.
    const before = index === 0 ? [] : tunnelTexts(sightings[index - 1]!);
    const changed = tunnelTexts(sightings[index]!).filter((text) => !before.includes(text));
    const bar = isLast ? ' ' : '│';
    const tunnels = changed.flatMap((text) => {
      const [first = '', ...rest] = wrap(text, options.width - 8, '');
      return [first, ...rest].map((line) => `    ${bar}   ${line.trim()}`);
    });
    const left = `    ${rung} ${row.join('  ')}`;
    return [...nat, ...renderRow(left, `    ${bar}   `, cells.marks, since, options), ...tunnels];
  });
  return [...rows, ...inside];
}

/** Marks and time behind the row where they fit, else on a line below it. */
function renderRow(
  padded: string,
  below: string,
  marks: string,
  since: string,
  { width }: LadderOptions,
): readonly string[] {
  const row = padded.trimEnd();
  const whole = marks === '' ? row : `${padded}  ${marks}`;
  const gap = since === '' ? 0 : 2;
  if (columns(whole) + gap + columns(since) <= width) return [spread(whole, since, width)];
  if (columns(row) + gap + columns(since) <= width && marks !== '') {
    return [spread(row, since, width), below + marks];
  }
  return [row, spread(below + marks, since, width)];
}
