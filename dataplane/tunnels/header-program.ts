import { assemble, type BpfLine } from '../kernel/bpf-assembler.ts';
import { ipToBytes } from '../kernel/ip-bytes.ts';
import type { TunnelSpec } from './tunnel.ts';

/** Which packets of the link below a tunnel. */
export type HeaderWay = 'leaving' | 'arriving';

/** What a program has to know of its tunnel. */
export type HeaderSpec = Pick<TunnelSpec, 'remote' | 'port' | 'vni'>;

/**
 * First 32 bits of a VXLAN header with a VNI (RFC 7348 section 5: 08 00 00 00) and of a Geneve header
 * with Ethernet inside and no options (RFC 8926 section 3.4: 00 00 65 58), as a little-endian machine
 * loads them.
 */
const VXLAN_HEAD = 0x0000_0008;
const GENEVE_HEAD = 0x5865_0000;

/** Offsets from the Ethernet header: IPv4 begins at 14, an IPv4 header without options ends at 34. */
const IP = { length: 14, fragment: 20, protocol: 23, source: 26, destination: 30 } as const;
/** Offsets from where UDP begins, less the 14 bytes of Ethernet that the register does not count. */
const UDP = { port: 16, checksum: 20, head: 22, vni: 26, end: 30 } as const;

/**
 * The program that makes a vxlan device speak Geneve, for one tunnel and one way, as the kernel gets
 * it. Both headers have 8 bytes and the VNI at the same place: the first word is all that differs. It
 * takes and refuses what {@link rewriteRules} does, and keeps a UDP checksum right where there is one
 * (a Geneve end of another maker may send it). Packets go on to the next program, and to nft.
 *
 * Registers: r6 the packet, r7 whether its first bytes were asked for, r8 and r9 begin and end of the
 * bytes at hand, r3 length of the IPv4 header, r2 that many bytes behind r8.
 */
export function headerProgram(spec: HeaderSpec, way: HeaderWay): readonly BpfLine[] {
  const isLeaving = way === 'leaving';
  const [from, to] = isLeaving ? [VXLAN_HEAD, GENEVE_HEAD] : [GENEVE_HEAD, VXLAN_HEAD];
  return [
    line('r6 = r1', 'struct __sk_buff; calls leave r6 to r9 as they are'),
    line('r7 = 0'),
    ...findHeader(),
    line(`r4 = *(u16 *)(r2 + ${UDP.port})`, 'UDP destination port'),
    line(`if w4 != ${hex(swapped(spec.port, 2))} goto pass`, String(spec.port)),
    line(`r4 = *(u32 *)(r2 + ${UDP.vni})`, 'VNI and 8 reserved bits'),
    line('r4 &= 0xffffff'),
    line(`if w4 != ${hex(swapped(spec.vni, 3))} goto pass`, `VNI ${spec.vni}`),
    line(`r4 = *(u32 *)(r2 + ${UDP.head})`, 'first word of the tunnel header'),
    ...(isLeaving ? [] : [line(`if w4 == ${hex(VXLAN_HEAD)} goto drop`, 'VXLAN is none of ours')]),
    line(`if w4 != ${hex(from)} goto pass`, isLeaving ? 'VXLAN with a VNI' : 'Geneve, no options'),
    line(`r4 = *(u32 *)(r8 + ${isLeaving ? IP.destination : IP.source})`),
    line(`if w4 != ${hex(ipToBytes(spec.remote).readUInt32LE(0))} goto pass`, spec.remote),
    line(`*(u32 *)(r2 + ${UDP.head}) = ${hex(to)}`, isLeaving ? 'now Geneve' : 'now VXLAN'),
    line(`r4 = *(u16 *)(r2 + ${UDP.checksum})`, 'UDP checksum'),
    line('if w4 != 0 goto checksum'),
    ...(isLeaving ? [] : addToPacketSum(from, to)),
    line('r0 = -1', 'TCX_NEXT', 'pass'),
    line('exit'),
    ...(isLeaving ? [] : [line('r0 = 2', 'TCX_DROP', 'drop'), line('exit')]),
    ...mendChecksum(from, to),
    ...askForBytes(),
  ];
}

/** The same as bytes for the kernel. */
export function headerInstructions(spec: HeaderSpec, way: HeaderWay): Buffer {
  return assemble(headerProgram(spec, way));
}

/** Sets r2, r3, r8 and r9, or goes to `pass` when it is no IPv4 packet with a whole UDP tunnel header. */
function findHeader(): readonly BpfLine[] {
  return [
    line('r3 = *(u32 *)(r6 + 16)', 'protocol', 'read'),
    line('if w3 != 0x8 goto pass', 'IPv4'),
    line('r8 = *(u32 *)(r6 + 76)', 'data'),
    line('r9 = *(u32 *)(r6 + 80)', 'data_end'),
    line('r2 = r8'),
    line('r2 += 50', 'Ethernet 14, IPv4 20, UDP 8, tunnel header 8'),
    line('if r2 > r9 goto ask'),
    line(`r3 = *(u8 *)(r8 + ${IP.protocol})`),
    line('if w3 != 17 goto pass', 'UDP'),
    line(`r3 = *(u16 *)(r8 + ${IP.fragment})`, 'flags and fragment offset'),
    line('r3 &= 0xff1f'),
    line('if w3 != 0 goto pass', 'a later fragment has no UDP header'),
    line(`r3 = *(u8 *)(r8 + ${IP.length})`, 'version and header length in words'),
    line('r3 &= 15'),
    line('r3 <<= 2'),
    line('if w3 < 20 goto pass'),
    line('r2 = r8'),
    line('r2 += r3'),
    line('r4 = r2'),
    line(`r4 += ${UDP.end}`),
    line('if r4 > r9 goto ask', 'IPv4 options before it'),
  ];
}

/** A sum that a network card made of the whole packet follows; no UDP checksum evens it out. */
function addToPacketSum(from: number, to: number): readonly BpfLine[] {
  // One's complement: what the sum grows by when one word takes the place of the other.
  const sum = (~from >>> 0) + to;
  const growth = (sum > 0xffff_ffff ? sum + 1 : sum) >>> 0;
  return [
    line('r1 = r6'),
    line(`r2 = ${hex(growth)}`),
    line('call 40', 'bpf_csum_update(): nothing but for CHECKSUM_COMPLETE'),
  ];
}

function mendChecksum(from: number, to: number): readonly BpfLine[] {
  return [
    line('r1 = r6', undefined, 'checksum'),
    line('r2 = r3'),
    line(`r2 += ${UDP.checksum}`),
    line(`r3 = ${hex(from)}`),
    line(`r4 = ${hex(to)}`),
    line('r5 = 36', 'BPF_F_MARK_MANGLED_0 and 4, the bytes of a word'),
    line('call 11', 'bpf_l4_csum_replace()'),
    line('goto pass'),
  ];
}

/** Once, for packets whose headers are in fragments of memory, and for short ones. */
function askForBytes(): readonly BpfLine[] {
  return [
    line('if r7 != 0 goto pass', undefined, 'ask'),
    line('r7 = 1'),
    line('r1 = r6'),
    line('r2 = *(u32 *)(r6 + 0)', 'length of the packet'),
    line('if w2 <= 90 goto pull'),
    line('r2 = 90', 'as far as a tunnel header behind the longest IPv4 header goes'),
    line('call 39', 'bpf_skb_pull_data()', 'pull'),
    line('goto read'),
  ];
}

function line(text: string, why?: string, label?: string): BpfLine {
  return {
    text,
    ...(why === undefined ? {} : { why }),
    ...(label === undefined ? {} : { label }),
  };
}

/** A number of the wire, which has its highest byte first, as the program loads it. */
function swapped(value: number, bytes: 2 | 3): number {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer.readUIntLE(0, bytes);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
