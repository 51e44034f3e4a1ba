import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ETHER_TYPE } from '../../../dataplane/wire/ethernet.ts';
import { WireError } from '../../../dataplane/wire/errors.ts';
import { formatIpv4 } from '../../../dataplane/wire/ip-address.ts';
import { emptyIpHeader, IP_PROTOCOL, readIpv4 } from '../../../dataplane/wire/ip.ts';
import { emptyTcpHeader, readTcp } from '../../../dataplane/wire/tcp.ts';
import { CAPTURE_FILES, type Recording } from '../../capture/layout.ts';
import { PcapngReader, type PacketBlock } from '../../capture/pcapng-read.ts';
import { linkPayload } from '../../facts/dissect/link-layer.ts';

/** A frame with TCP payload, seen on one interface. */
export interface DataFrame {
  readonly netns: string;
  readonly interface: string;
  /** Since the recording began. */
  readonly atNs: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payloadBytes: number;
  /** The first of them, as far as they were kept. */
  readonly head: Buffer;
}

/** How much of a payload is looked at. */
const HEAD_BYTES = 16;

/** All of a recording in the order of time; IPv4 without tunnels, which is what the data takes. */
export async function readDataFrames(
  directory: string,
): Promise<{ readonly recording: Recording; readonly frames: readonly DataFrame[] }> {
  const text = await readFile(join(directory, CAPTURE_FILES.recording), 'utf8');
  const recording = JSON.parse(text) as Recording;
  const since = BigInt(recording.startedNs);
  const frames: DataFrame[] = [];
  for (const { netns, name, file } of recording.interfaces) {
    const reader = new PcapngReader({
      packet(buffer, packet) {
        const data = dataOf(buffer, packet);
        if (data !== undefined)
          frames.push({ netns, interface: name, atNs: sinceOf(packet, since), ...data });
      },
    });
    reader.push(await readFile(join(directory, CAPTURE_FILES.interfaces, file)));
  }
  frames.sort((a, b) => a.atNs - b.atNs);
  return { recording, frames };
}

/** Whole seconds of Unix time lie beyond what a double counts in nanoseconds. */
function sinceOf(packet: Readonly<PacketBlock>, since: bigint): number {
  const ticks = (BigInt(packet.timeHigh) << 32n) | BigInt(packet.timeLow);
  const { ticksPerSecond, offsetSeconds } = packet.interface;
  const ns = (ticks * 1_000_000_000n) / BigInt(ticksPerSecond);
  return Number(ns + offsetSeconds * 1_000_000_000n - since);
}

const link = { hasEthernet: false, etherType: 0, payloadOffset: 0 };
const ip = emptyIpHeader();
const tcp = emptyTcpHeader();

function dataOf(
  buffer: Buffer,
  { dataOffset, capturedBytes, interface: { linkType } }: Readonly<PacketBlock>,
): Omit<DataFrame, 'netns' | 'interface' | 'atNs'> | undefined {
  const end = dataOffset + capturedBytes;
  try {
    linkPayload(linkType, buffer, dataOffset, end, link);
    if (link.etherType !== ETHER_TYPE.ipv4) return undefined;
    readIpv4(buffer, link.payloadOffset, end, ip);
    if (ip.protocol !== IP_PROTOCOL.tcp || ip.isFragment) return undefined;
    readTcp(buffer, ip.payloadOffset, end, tcp);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
  const payloadBytes = ip.payloadEnd - tcp.payloadOffset;
  if (payloadBytes <= 0) return undefined;
  return {
    source: formatIpv4(buffer, ip.sourceOffset),
    sourcePort: tcp.sourcePort,
    destination: formatIpv4(buffer, ip.destinationOffset),
    destinationPort: tcp.destinationPort,
    payloadBytes,
    head: Buffer.from(
      buffer.subarray(tcp.payloadOffset, Math.min(end, tcp.payloadOffset + HEAD_BYTES)),
    ),
  };
}
