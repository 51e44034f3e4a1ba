import type { PacketBlock } from '../../capture/pcapng-read.ts';
import type { PcapngInterface } from '../../capture/pcapng.ts';
import { decodeDns } from '../../../dataplane/wire/dns.ts';
import { ETHER_TYPE, readEthernet } from '../../../dataplane/wire/ethernet.ts';
import { IP_PROTOCOL, emptyIpHeader, readIpv4, readIpv6 } from '../../../dataplane/wire/ip.ts';
import {
  GENEVE_PORT,
  TRANS_ETHER_BRIDGING,
  emptyOverlayHeader,
  readGeneve,
  readVxlan,
} from '../../../dataplane/wire/overlay.ts';
import { emptyTcpHeader, readTcp } from '../../../dataplane/wire/tcp.ts';
import { emptyUdpHeader, readUdp } from '../../../dataplane/wire/udp.ts';
import { DnsPairs } from './dns-pairs.ts';
import { FRAME_META } from './frame-meta.ts';
import { FrameTable } from './frame-table.ts';
import { linkPayload, overlayOfPort, type LinkPayload } from './link-layer.ts';
import { TcpTracker } from './tcp-tracker.ts';
import type { DissectFault, IcmpSighting } from './types.ts';
import { UdpTracker } from './udp-tracker.ts';

/** Wrappings of one frame that are followed; more are no frame of a lab. */
const MAX_ENCAPSULATION = 4;
const MAX_FAULTS = 100;

export const DNS_PORTS: ReadonlySet<number> = new Set([53, 15053]);

/**
 * Fills the frame table of one interface, and sorts its frames into connections and exchanges. All
 * headers are read into objects that are reused.
 */
export class InterfaceReader {
  readonly description: PcapngInterface;
  readonly table: FrameTable;
  readonly tcp: TcpTracker;
  readonly udp: UdpTracker;
  readonly dns: DnsPairs;
  readonly icmp: IcmpSighting[] = [];
  readonly faults: DissectFault[] = [];
  readonly #nsPerTick: number;
  readonly #baseHigh: number;
  readonly #baseLow: number;
  readonly #link: LinkPayload = { hasEthernet: false, etherType: 0, payloadOffset: 0 };
  readonly #ip = emptyIpHeader();
  readonly #tcpHeader = emptyTcpHeader();
  readonly #udpHeader = emptyUdpHeader();
  readonly #overlay = emptyOverlayHeader();

  constructor(file: Buffer, description: PcapngInterface, baseSeconds: bigint) {
    this.description = description;
    this.table = new FrameTable(file, description.linkType, baseSeconds * 1_000_000_000n);
    this.tcp = new TcpTracker(this.table);
    this.udp = new UdpTracker(this.table);
    this.dns = new DnsPairs();
    this.#nsPerTick = 1e9 / description.ticksPerSecond;
    const baseTicks =
      (baseSeconds - description.offsetSeconds) * BigInt(description.ticksPerSecond);
    this.#baseHigh = Number(baseTicks >> 32n);
    this.#baseLow = Number(baseTicks & 0xffff_ffffn);
  }

  /** Takes one frame of the file; never throws on what the frame holds. */
  add(frameNumber: number, packet: Readonly<PacketBlock>): void {
    const { table } = this;
    const row = table.addRow();
    table.numbers[row] = frameNumber;
    const ticks =
      (packet.timeHigh - this.#baseHigh) * 0x1_0000_0000 + packet.timeLow - this.#baseLow;
    table.times[row] = packet.timeHigh === 0 && packet.timeLow === 0 ? 0 : this.#toNs(ticks);
    table.dataOffsets[row] = packet.dataOffset;
    table.capturedBytes[row] = packet.capturedBytes;
    table.originalBytes[row] = packet.originalBytes;
    table.marks[row] = packet.mark;
    table.connections[row] = -1;
    const isClipped = packet.capturedBytes < packet.originalBytes;
    table.meta[row] = (packet.flags & 3) | (isClipped ? FRAME_META.clipped : 0);
    try {
      this.#readFrame(row, packet);
    } catch (error) {
      table.meta[row] |= FRAME_META.malformed;
      this.#fault('frame', error, frameNumber);
    }
  }

  #toNs(ticks: number): number {
    return this.#nsPerTick === 1 ? ticks : Math.round(ticks * this.#nsPerTick);
  }

  #readFrame(row: number, packet: Readonly<PacketBlock>): void {
    const { file } = this.table;
    const end = packet.dataOffset + packet.capturedBytes;
    const link = this.#link;
    linkPayload(this.table.linkType, file, packet.dataOffset, end, link);
    let isWrapped = this.#readNetwork(row, packet.dataOffset, end);
    for (let depth = 0; isWrapped && depth < MAX_ENCAPSULATION; depth++) {
      isWrapped = this.#readNetwork(row, packet.dataOffset, end);
    }
  }

  /** Reads from the network header at `#link`; true where an overlay's content is there now. */
  #readNetwork(row: number, frameOffset: number, end: number): boolean {
    const { table } = this;
    const { etherType, payloadOffset } = this.#link;
    const isIpv6 = etherType === ETHER_TYPE.ipv6;
    if (!isIpv6 && etherType !== ETHER_TYPE.ipv4) return false;
    const ip = isIpv6
      ? readIpv6(table.file, payloadOffset, end, this.#ip)
      : readIpv4(table.file, payloadOffset, end, this.#ip);
    table.ipOffsets[row] = ip.headerOffset - frameOffset;
    table.protocols[row] = ip.protocol;
    table.ttls[row] = ip.ttl;
    table.meta[row] =
      (table.meta[row]! & ~FRAME_META.ipv6) |
      (isIpv6 ? FRAME_META.ipv6 : 0) |
      (ip.isFragment ? FRAME_META.fragment : 0);
    table.ipIds[row] = isIpv6
      ? 0
      : (table.file[payloadOffset + 4]! << 8) | table.file[payloadOffset + 5]!;
    if (ip.fragmentOffset > 0) return false;
    const transportEnd = Math.min(end, ip.payloadEnd);
    if (ip.protocol === IP_PROTOCOL.tcp) this.#readTcp(row, frameOffset, transportEnd);
    else if (ip.protocol === IP_PROTOCOL.udp) return this.#readUdp(row, frameOffset, transportEnd);
    else if (ip.protocol === IP_PROTOCOL.icmp || ip.protocol === IP_PROTOCOL.icmpv6) {
      this.#readIcmp(row, transportEnd);
    }
    return false;
  }

  #readTcp(row: number, frameOffset: number, end: number): void {
    const { table } = this;
    const tcp = readTcp(table.file, this.#ip.payloadOffset, end, this.#tcpHeader);
    table.sourcePorts[row] = tcp.sourcePort;
    table.destinationPorts[row] = tcp.destinationPort;
    table.sequences[row] = tcp.sequence;
    table.acknowledgements[row] = tcp.acknowledgement;
    table.tcpFlags[row] = tcp.flags;
    table.windows[row] = tcp.window;
    table.payloadOffsets[row] = tcp.payloadOffset - frameOffset;
    table.payloadBytes[row] = Math.max(0, this.#ip.payloadEnd - tcp.payloadOffset);
    this.tcp.add(row);
  }

  #readUdp(row: number, frameOffset: number, end: number): boolean {
    const { table } = this;
    const udp = readUdp(table.file, this.#ip.payloadOffset, end, this.#udpHeader);
    const port = overlayOfPort(udp.destinationPort);
    if (port > 0) return this.#readOverlay(row, port, end);
    table.sourcePorts[row] = udp.sourcePort;
    table.destinationPorts[row] = udp.destinationPort;
    table.payloadOffsets[row] = udp.payloadOffset - frameOffset;
    table.payloadBytes[row] = udp.payloadEnd - udp.payloadOffset;
    this.udp.add(row);
    if (DNS_PORTS.has(udp.sourcePort) || DNS_PORTS.has(udp.destinationPort)) this.#readDns(row);
    return false;
  }

  #readOverlay(row: number, port: number, end: number): boolean {
    const { file } = this.table;
    const overlay = this.#overlay;
    const read = port === GENEVE_PORT ? readGeneve : readVxlan;
    read(file, this.#udpHeader.payloadOffset, end, overlay);
    this.table.meta[row]! |= FRAME_META.encapsulated;
    if (overlay.protocol === TRANS_ETHER_BRIDGING) {
      readEthernet(file, overlay.payloadOffset, end, this.#link);
    } else {
      this.#link.etherType = overlay.protocol;
      this.#link.payloadOffset = overlay.payloadOffset;
    }
    return true;
  }

  #readDns(row: number): void {
    const { table } = this;
    if (table.meta[row]! & FRAME_META.clipped) return;
    try {
      this.dns.add(
        decodeDns(table.payload(row)),
        { address: table.source(row), port: table.sourcePorts[row]! },
        { address: table.destination(row), port: table.destinationPorts[row]! },
        table.numbers[row]!,
        'udp',
      );
    } catch (error) {
      this.#fault('dns', error, table.numbers[row]!);
    }
  }

  #readIcmp(row: number, end: number): void {
    const { table } = this;
    const at = this.#ip.payloadOffset;
    if (at + 2 > end) return;
    this.icmp.push({
      frame: table.numbers[row]!,
      source: table.source(row),
      destination: table.destination(row),
      type: table.file[at]!,
      code: table.file[at + 1]!,
    });
  }

  #fault(layer: DissectFault['layer'], error: unknown, frame: number): void {
    if (this.faults.length >= MAX_FAULTS) return;
    this.faults.push({ layer, message: (error as Error).message, frame });
  }
}
