import type { PcapngInterface } from '../../capture/pcapng.ts';
import { PcapngReader } from '../../capture/pcapng-read.ts';
import { parseKeyLog } from '../../../dataplane/wire/tls-keys.ts';
import { certificateReader } from './certificates.ts';
import { finishConnections, type OpenConnection } from './finish-connections.ts';
import { groupConversations } from './group-conversations.ts';
import { InterfaceReader } from './interface-reader.ts';
import { readConversation, type PlainStreams, type ReadConversation } from './read-conversation.ts';
import type { DissectedCapture, DissectedInterface } from './types.ts';

/** What was dissected, and the streams that searches need. */
export interface Dissection extends DissectedCapture {
  /** What each conversation's applications said, by its index. */
  readonly plain: readonly PlainStreams[];
}

/**
 * Dissects whole pcapng files, one or more interfaces in each. Secrets come from `keyLog` (NSS key
 * log text) and from the files themselves. Files stay referenced: everything points into them.
 * @throws PcapngError where a file is no whole pcapng
 */
export function dissect(files: readonly Buffer[], keyLog = ''): Dissection {
  const secrets = [keyLog];
  const readers = files.flatMap((file) => readFile(file, (text) => secrets.push(text)));
  const connectionsOf = readers.map((reader) => finishConnections(reader, nameOf(reader)));
  const groups = groupConversations(connectionsOf.flat());
  const options = {
    keyLog: parseKeyLog(secrets.join('\n')),
    describeCertificate: certificateReader(),
    dnsOf: (name: string) => readers.find((reader) => nameOf(reader) === name)?.dns,
  };
  const read = groups.map((sightings, i): ReadConversation =>
    readConversation(sightings, i, options),
  );
  return {
    interfaces: readers.map((reader, i) => finishInterface(reader, connectionsOf[i]!)),
    conversations: read.map(({ conversation }) => conversation),
    plain: read.map(({ plain }) => plain),
  };
}

/** Reads one file; its interfaces in the order of their blocks. */
function readFile(file: Buffer, onKeyLog: (text: string) => void): InterfaceReader[] {
  const readers = new Map<PcapngInterface, InterfaceReader>();
  let frameNumber = 0;
  let last: InterfaceReader | undefined;
  const declared: PcapngInterface[] = [];
  const reader = new PcapngReader({
    interface: (description) => declared.push(description),
    keyLog: onKeyLog,
    packet: (buffer, packet) => {
      frameNumber++;
      if (last?.description !== packet.interface) {
        last = readers.get(packet.interface);
        if (!last) {
          const seconds = secondsOf(packet.interface, packet.timeHigh, packet.timeLow);
          last = new InterfaceReader(buffer, packet.interface, seconds);
          readers.set(packet.interface, last);
        }
      }
      last.add(frameNumber, packet);
    },
  });
  reader.push(file);
  reader.end();
  return declared.map(
    (description) => readers.get(description) ?? new InterfaceReader(file, description, 0n),
  );
}

function secondsOf(description: PcapngInterface, high: number, low: number): bigint {
  const ticks = (BigInt(high) << 32n) | BigInt(low);
  return ticks / BigInt(description.ticksPerSecond) + description.offsetSeconds;
}

function nameOf({ description }: InterfaceReader): string {
  return description.name;
}

function finishInterface(
  reader: InterfaceReader,
  connections: readonly OpenConnection[],
): DissectedInterface {
  const name = nameOf(reader);
  const slash = name.lastIndexOf('/');
  return {
    name,
    netns: slash < 0 ? '' : name.slice(0, slash),
    ifname: name.slice(slash + 1),
    frames: reader.table,
    connections,
    dns: reader.dns.exchanges,
    udpFlows: reader.udp.flows,
    icmp: reader.icmp,
    faults: reader.faults,
  };
}
