import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isPcap } from '../../../lab/capture/pcap-read.ts';
import { PcapngReader } from '../../../lab/capture/pcapng-read.ts';
import {
  encodePacket,
  encodePcapngHead,
  type NewInterface,
  type NewPacket,
} from '../../../lab/capture/pcapng-write.ts';
import { asPcapng } from '../../../lab/regress/read-capture.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures');

/** Every capture that is committed, by its path below the fixtures. */
export async function listCaptures(): Promise<readonly string[]> {
  const files = await readdir(FIXTURES, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile() && /\.pcap(ng)?$/.test(file.name))
    .map((file) => relative(FIXTURES, join(file.parentPath, file.name)))
    .sort();
}

export function readFixture(path: string): Promise<Buffer> {
  return readFile(join(FIXTURES, path));
}

/** Frames of one interface of a capture, and the secrets of the whole. */
export interface SingleCapture {
  /** Path and interface. */
  readonly name: string;
  readonly interface: NewInterface;
  readonly packets: readonly Omit<NewPacket, 'interfaceId'>[];
  readonly keyLog: string;
}

/** The interfaces of a committed capture, each by itself; secrets of a run stand beside its files. */
export async function splitByInterface(path: string): Promise<readonly SingleCapture[]> {
  const secrets: string[] = [];
  if (path.startsWith('runs/')) {
    secrets.push((await readFixture(join(dirname(dirname(path)), 'keys.log'))).toString());
  }
  const interfaces = new Map<string, NewInterface>();
  const packets = new Map<string, Omit<NewPacket, 'interfaceId'>[]>();
  const reader = new PcapngReader({
    interface: ({ name, linkType }) => {
      interfaces.set(name, { name, linkType });
      packets.set(name, []);
    },
    keyLog: (text) => secrets.push(text),
    packet: (buffer, packet) => {
      const { dataOffset, capturedBytes, originalBytes, interface: on } = packet;
      const ticks = (BigInt(packet.timeHigh) << 32n) | BigInt(packet.timeLow);
      const timeNs = (ticks * 1_000_000_000n) / BigInt(on.ticksPerSecond);
      const data = Buffer.from(buffer.subarray(dataOffset, dataOffset + capturedBytes));
      packets.get(on.name)?.push({ timeNs, data, originalBytes });
    },
  });
  const file = await readFixture(path);
  reader.push(isPcap(file) ? asPcapng(file) : file);
  reader.end();
  const keyLog = secrets.join('\n');
  return [...interfaces].map(([name, described]) => {
    return { name: `${path} ${name}`, interface: described, packets: packets.get(name)!, keyLog };
  });
}

/** Several single captures as one file, one after the other. */
export function joinCaptures(singles: readonly SingleCapture[]): Buffer {
  return Buffer.concat([
    encodePcapngHead({
      keyLog: [...new Set(singles.map(({ keyLog }) => keyLog))].join('\n'),
      interfaces: singles.map((each) => each.interface),
    }),
    ...singles.flatMap(({ packets }, interfaceId) =>
      packets.map((packet) => encodePacket({ ...packet, interfaceId })),
    ),
  ]);
}
