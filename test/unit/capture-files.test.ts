import t from 'tap';
import { PcapngError, type PcapngInterface } from '../../lab/capture/pcapng.ts';
import { PcapngReader } from '../../lab/capture/pcapng-read.ts';
import {
  encodeNames,
  encodePacket,
  encodePcapngHead,
  encodeSecrets,
  encodeStatistics,
} from '../../lab/capture/pcapng-write.ts';
import { PcapStreamError, pcapFrames, pcapngOfPcap } from '../../lab/capture/tcpdump.ts';

const TIME_NS = 1_795_256_413_884_800_123n;

const FILE = Buffer.concat([
  encodePcapngHead({
    application: 'ambient-lab',
    comment: 'a test',
    keyLog: 'CLIENT_RANDOM x y\n',
    names: [
      ['10.244.1.2', 'sleep.demo'],
      ['fd00::1', 'httpbin.demo'],
    ],
    interfaces: [
      { name: 'node1/eth0', mac: '02:00:00:00:00:01', description: 'uplink', snapLength: 100 },
      { name: 'sleep/eth0', linkType: 101 },
    ],
  }),
  encodePacket({ interfaceId: 1, timeNs: TIME_NS, data: Buffer.from('abc') }),
  encodePacket({
    interfaceId: 0,
    timeNs: TIME_NS + 1n,
    data: Buffer.from('defgh'),
    originalBytes: 1500,
    direction: 'in',
    mark: 0x539,
    comments: ['look here', 'mark 0x'],
  }),
  encodeSecrets('more\n'),
  encodeStatistics(1, TIME_NS, 7n, 2n),
]);

interface Seen {
  readonly packets: unknown[];
  readonly interfaces: PcapngInterface[];
  readonly names: string[][];
  readonly keyLog: string[];
  readonly comments: string[];
  readonly statistics: unknown[];
}

function read(file: Buffer, pieceBytes = file.length): Seen {
  const seen: Seen = {
    packets: [],
    interfaces: [],
    names: [],
    keyLog: [],
    comments: [],
    statistics: [],
  };
  const reader = new PcapngReader({
    packet: (buffer, packet) => {
      const { dataOffset, capturedBytes, ...rest } = packet;
      const data = buffer.toString('latin1', dataOffset, dataOffset + capturedBytes);
      seen.packets.push({ ...rest, interface: packet.interface.name, data });
    },
    interface: (description) => seen.interfaces.push(description),
    keyLog: (text) => seen.keyLog.push(text),
    name: (...name) => seen.names.push(name),
    comment: (text) => seen.comments.push(text),
    statistics: ({ name }, received, dropped) => seen.statistics.push([name, received, dropped]),
  });
  for (let at = 0; at < file.length; at += pieceBytes) {
    // A copy that is overwritten afterwards: the reader must not lean on what it was given.
    const piece = Buffer.from(file.subarray(at, at + pieceBytes));
    reader.push(piece);
    piece.fill(0xee);
  }
  reader.end();
  return seen;
}

t.test('PcapngReader reads what the writer writes, in pieces of any size', async (t) => {
  const [high, low] = [Number(TIME_NS >> 32n), Number(TIME_NS & 0xffffffffn)];
  const whole = read(FILE);
  t.same(whole, {
    packets: [
      {
        interface: 'sleep/eth0',
        timeHigh: high,
        timeLow: low,
        originalBytes: 3,
        flags: 0,
        mark: 0,
        data: 'abc',
      },
      {
        interface: 'node1/eth0',
        timeHigh: high,
        timeLow: low + 1,
        originalBytes: 1500,
        flags: 1,
        mark: 0x539,
        data: 'defgh',
      },
    ],
    interfaces: [
      {
        id: 0,
        linkType: 1,
        snapLength: 100,
        name: 'node1/eth0',
        description: 'uplink',
        mac: '02:00:00:00:00:01',
        ticksPerSecond: 1e9,
        offsetSeconds: 0n,
      },
      {
        id: 1,
        linkType: 101,
        snapLength: 0,
        name: 'sleep/eth0',
        description: '',
        mac: undefined,
        ticksPerSecond: 1e9,
        offsetSeconds: 0n,
      },
    ],
    names: [
      ['10.244.1.2', 'sleep.demo'],
      ['fd00::1', 'httpbin.demo'],
    ],
    keyLog: ['CLIENT_RANDOM x y\n', 'more\n'],
    comments: ['a test', 'look here', 'mark 0x'],
    statistics: [['sleep/eth0', 7n, 2n]],
  });
  for (const size of [1, 3, 4, 11, 12, 13, 64, 100, 500]) t.same(read(FILE, size), whole);
});

/** The same file as a big-endian machine writes it; valid for the blocks used here. */
function bigEndianFile(): Buffer {
  const block = (type: number, body: Buffer): Buffer => {
    const whole = Buffer.alloc(12 + body.length);
    whole.writeUInt32BE(type, 0);
    whole.writeUInt32BE(whole.length, 4);
    body.copy(whole, 8);
    whole.writeUInt32BE(whole.length, whole.length - 4);
    return whole;
  };
  return Buffer.concat([
    block(0x0a0d0d0a, Buffer.from('1a2b3c4d00010000ffffffffffffffff', 'hex')),
    // Two-power resolution of 2^-10 s, offset of -5 s, snap length 4.
    block(
      1,
      Buffer.from(
        '0001000000000004' + '000900018a000000' + '000e0008fffffffffffffffb' + '00000000',
        'hex',
      ),
    ),
    block(6, Buffer.from('00000000' + '0000000000000400' + '0000000400000005' + '61626364', 'hex')),
    block(3, Buffer.from('00000009' + '65666768', 'hex')),
    block(0x0bad, Buffer.from('00000000', 'hex')),
  ]);
}

t.test('PcapngReader reads big-endian files, other resolutions and simple packets', async (t) => {
  const { packets, interfaces } = read(bigEndianFile());
  t.match(interfaces, [{ ticksPerSecond: 1024, offsetSeconds: -5n, snapLength: 4 }]);
  t.match(packets, [
    { timeHigh: 0, timeLow: 1024, originalBytes: 5, data: 'abcd' },
    { timeHigh: 0, timeLow: 0, originalBytes: 9, data: 'efgh' },
  ]);
  t.equal(read(Buffer.concat([bigEndianFile(), FILE])).packets.length, 4, 'sections may follow');
});

t.test('PcapngReader refuses malformed files with fault and offset', async (t) => {
  const refuse = (file: Buffer, fault: string, offset: number) => {
    for (const size of [file.length, 5]) {
      try {
        read(file, size);
        t.fail(`took a file with fault ${fault}`);
      } catch (error) {
        t.type(error, PcapngError);
        t.match(error, { fault, offset }, `${fault} in pieces of ${size}`);
      }
    }
  };
  const broken = (at: number, value: number): Buffer => {
    const copy = Buffer.from(FILE);
    copy.writeUInt32LE(value, at);
    return copy;
  };
  const section = FILE.readUInt32LE(4);
  refuse(Buffer.alloc(40), 'not-pcapng', 0);
  refuse(broken(8, 0), 'byte-order', 0);
  refuse(broken(12, 2), 'version', 0);
  refuse(broken(section + 4, 8), 'block-length', section);
  refuse(broken(section + 4, 0x7ffffff0), 'block-too-long', section);
  refuse(broken(section - 4, 0), 'block-length', 0);
  refuse(broken(section + 12, 0x7fffffff), 'secrets', section);
  const statistics = encodeStatistics(1, TIME_NS, 7n, 2n);
  refuse(FILE.subarray(0, -2), 'truncated', FILE.length - statistics.length);
  refuse(
    Buffer.concat([FILE, encodePacket({ interfaceId: 9, timeNs: 0n, data: Buffer.from('x') })]),
    'interface',
    FILE.length,
  );
  const packetAt = FILE.indexOf(
    encodePacket({ interfaceId: 1, timeNs: TIME_NS, data: Buffer.from('abc') }),
  );
  refuse(broken(packetAt + 20, 4000), 'packet', packetAt);
  refuse(broken(packetAt + 20, 0xfffffffe), 'packet', packetAt);
  const names = Buffer.concat([FILE, encodeNames([['1.2.3.4', 'x']])]);
  names.writeUInt16LE(500, FILE.length + 10);
  refuse(names, 'names', FILE.length);
  t.throws(() => new PcapngReader({ packet: () => {} }).end(), PcapngError, 'an empty file');
});

/** Classic pcap with microseconds and two packets. */
function pcap(magic = 'd4c3b2a1'): Buffer {
  const header = Buffer.from(`${magic}02000400000000000000000000000400` + '01000000', 'hex');
  const packet = (seconds: number, micros: number, data: string): Buffer => {
    const bytes = Buffer.alloc(16 + data.length);
    bytes.writeUInt32LE(seconds, 0);
    bytes.writeUInt32LE(micros, 4);
    bytes.writeUInt32LE(data.length, 8);
    bytes.writeUInt32LE(data.length + 10, 12);
    bytes.write(data, 16);
    return bytes;
  };
  return Buffer.concat([header, packet(1000, 5, 'first'), packet(1001, 999_999, 'second')]);
}

async function* pieces(bytes: Buffer, size = bytes.length): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect<T>(from: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of from) all.push(each);
  return all;
}

t.test('pcapFrames() yields the frames of a tcpdump stream however it is cut', async (t) => {
  for (const size of [1, 3, 16, 24, 30, 1000]) {
    const frames = await collect(pcapFrames(pieces(pcap(), size)));
    t.same(
      frames.map((frame) => ({ ...frame, data: String(frame.data) })),
      [
        { linkType: 1, timeNs: 1_000_000_005_000n, data: 'first', originalBytes: 15 },
        { linkType: 1, timeNs: 1_001_999_999_000n, data: 'second', originalBytes: 16 },
      ],
    );
  }
  const file = Buffer.concat(await collect(pcapngOfPcap(pieces(pcap(), 7), { name: 'pod/eth0' })));
  t.match(read(file).packets, [{ data: 'first', interface: 'pod/eth0' }, { data: 'second' }]);
  const none = await collect(pcapngOfPcap(pieces(pcap().subarray(0, 24)), { name: 'pod/eth0' }));
  t.same(read(Buffer.concat(none)).packets, [], 'no frame is a capture, too');
});

t.test('pcapFrames() refuses other formats and truncated streams', async (t) => {
  const refuse = async (bytes: Buffer, fault: string) => {
    const error = await collect(pcapFrames(pieces(bytes, 9))).catch((reason: unknown) => reason);
    t.type(error, PcapStreamError, fault);
    t.match(error, { fault });
  };
  await refuse(pcap('0a0d0d0a'), 'pcapng');
  await refuse(pcap('4d3cb2a1'), 'nanoseconds');
  await refuse(pcap('a1b23c4d'), 'nanoseconds');
  await refuse(pcap('01020304'), 'not-pcap');
  await refuse(Buffer.alloc(0), 'truncated');
  await refuse(pcap().subarray(0, 20), 'truncated');
  for (const cut of [1, 7, 21]) await refuse(pcap().subarray(0, -cut), 'truncated');
  const huge = pcap();
  huge.writeUInt32LE(0x7fffffff, 24 + 8);
  await refuse(huge, 'packet');
  t.equal((await collect(pcapFrames(pieces(pcap())))).length, 2, 'control');
});

t.test('pcapFrames() ends on its signal', async (t) => {
  const abort = new AbortController();
  const frames = pcapFrames(pieces(pcap(), 60), { signal: abort.signal });
  t.equal((await frames.next()).done, false);
  abort.abort();
  await t.rejects(collect(frames), { name: 'AbortError' });
});
