import t from 'tap';
import { decodeArp } from '../../dataplane/wire/arp.ts';
import { WireError } from '../../dataplane/wire/errors.ts';
import { formatMac, readEthernet, vlanIds } from '../../dataplane/wire/ethernet.ts';
import { decodeIcmp } from '../../dataplane/wire/icmp.ts';
import { emptyIpHeader, readIpv4, readIpv6 } from '../../dataplane/wire/ip.ts';
import {
  emptyOverlayHeader,
  geneveOptions,
  readGeneve,
  readVxlan,
} from '../../dataplane/wire/overlay.ts';
import { decodeProxyV2, encodeProxyV2, isProxyV2 } from '../../dataplane/wire/proxy-protocol.ts';
import { emptyTcpHeader, readTcp, tcpOptions } from '../../dataplane/wire/tcp.ts';
import { emptyUdpHeader, readUdp } from '../../dataplane/wire/udp.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

t.test('readEthernet() steps over VLAN tags', async (t) => {
  const into = { etherType: 0, payloadOffset: 0 };
  const plain = hex('02aabbccdd01 02aabbccdd02 0800');
  t.same(readEthernet(plain, 0, 14, into), { etherType: 0x0800, payloadOffset: 14 });
  t.same(vlanIds(plain, 0, 14), []);
  t.equal(formatMac(plain, 6), '02:aa:bb:cc:dd:02');
  const tagged = hex('02aabbccdd01 02aabbccdd02 88a8 0064 8100 2065 86dd');
  t.same(readEthernet(tagged, 0, 22, into), { etherType: 0x86dd, payloadOffset: 22 });
  t.same(vlanIds(tagged, 0, 22), [100, 101]);
  t.throws(() => readEthernet(plain, 0, 13, into), WireError);
  t.throws(() => readEthernet(tagged, 0, 20, into), WireError);
});

t.test('decodeArp() reads requests for IPv4', async (t) => {
  const bytes = hex('0001 0800 06 04 0001 02aabbccdd01 0af40102 000000000000 0af40103');
  t.same(decodeArp(bytes, 0, 28), {
    operation: 1,
    senderMac: '02:aa:bb:cc:dd:01',
    sender: '10.244.1.2',
    targetMac: '00:00:00:00:00:00',
    target: '10.244.1.3',
  });
  t.throws(() => decodeArp(bytes, 0, 27), WireError);
});

t.test('readIpv4() honours options, fragments and offload lengths', async (t) => {
  const plain = hex('45000028 00014000 40060000 0af40102 0af40203');
  const ip = readIpv4(plain, 0, 40, emptyIpHeader());
  t.match(ip, { version: 4, ttl: 64, protocol: 6, payloadOffset: 20, payloadEnd: 40 });
  t.equal(ip.isFragment, false, "don't fragment is no fragment");
  const options = hex('46000028 00012001 40110000 0af40102 0af40203 94040000');
  const fragment = readIpv4(options, 0, 40, emptyIpHeader());
  t.match(fragment, { payloadOffset: 24, isFragment: true, fragmentOffset: 8 });
  const huge = hex('45000000 00014000 40060000 0af40102 0af40203');
  t.equal(readIpv4(huge, 0, 90_000, emptyIpHeader()).payloadEnd, 90_000);
  for (const bad of ['44000028', '65000028', '45000013', '4f000028']) {
    const bytes = Buffer.concat([hex(bad), plain.subarray(4)]);
    t.throws(() => readIpv4(bytes, 0, 20, emptyIpHeader()), WireError, bad);
  }
});

t.test('readIpv6() walks extension headers', async (t) => {
  const addresses = `${'fd00'.padEnd(31, '0')}1${'fd00'.padEnd(31, '0')}2`;
  const hopByHop = '2b 00 050200000100';
  const routing = '2c 00 0000000000 00'.replaceAll(' ', '');
  const fragment = '11 00 0001 00000001';
  const bytes = hex(
    `60000000 0020 00 40 ${addresses} ${hopByHop}`.concat(routing, fragment, '00'.repeat(8)),
  );
  const ip = readIpv6(bytes, 0, bytes.length, emptyIpHeader());
  t.match(ip, { version: 6, ttl: 64, protocol: 17, payloadOffset: 64, payloadEnd: 72 });
  t.match(ip, { isFragment: true, fragmentOffset: 0 });
  bytes.writeUInt16BE(0x0100, 58);
  t.equal(readIpv6(bytes, 0, bytes.length, emptyIpHeader()).fragmentOffset, 256);
  t.throws(() => readIpv6(bytes, 0, 50, emptyIpHeader()), WireError, 'extension cut off');
  t.throws(() => readIpv6(bytes, 0, 39, emptyIpHeader()), WireError);
});

t.test('readTcp() and tcpOptions() read a SYN', async (t) => {
  const syn = hex(
    '9c401388 fffffffe 00000000 a002faf0 00000000 020405b4 0402 080a 00000001 00000000 01 030307',
  );
  const tcp = readTcp(syn, 0, syn.length, emptyTcpHeader());
  t.match(tcp, { sourcePort: 40_000, destinationPort: 5000, sequence: 0xfffffffe, flags: 2 });
  t.equal(tcp.payloadOffset, 40);
  t.same(tcpOptions(syn, 0, 40), {
    maxSegmentBytes: 1460,
    windowScale: 7,
    isSackPermitted: true,
    timestamps: { value: 1, echo: 0 },
  });
  t.throws(() => readTcp(syn, 0, 39, emptyTcpHeader()), WireError);
  syn[21] = 0;
  t.throws(() => tcpOptions(syn, 0, 40), WireError, 'an option of length 0 would loop');
});

t.test('readUdp() and decodeIcmp() bound what they read', async (t) => {
  const udp = hex('0035 9c40 000c 0000 01020304');
  t.match(readUdp(udp, 0, 12, emptyUdpHeader()), { sourcePort: 53, payloadEnd: 12 });
  t.throws(() => readUdp(udp, 0, 7, emptyUdpHeader()), WireError);
  t.throws(() => readUdp(hex('0035 9c40 0007 0000'), 0, 8, emptyUdpHeader()), WireError);
  t.same(decodeIcmp(hex('0800 0000 0102 0003'), 0, 8), {
    type: 8,
    code: 0,
    identifier: 0x102,
    sequence: 3,
  });
  t.throws(() => decodeIcmp(udp, 0, 7), WireError);
});

t.test('readGeneve() and readVxlan() give VNI and content', async (t) => {
  const geneve = hex('0240 6558 0003e800 0102 80 01 cafebabe');
  t.same(readGeneve(geneve, 0, 16, emptyOverlayHeader()), {
    vni: 0x3e8,
    protocol: 0x6558,
    optionBytes: 8,
    payloadOffset: 16,
  });
  t.same(geneveOptions(geneve, 0), [{ class: 0x0102, type: 0x80, data: hex('cafebabe') }]);
  t.throws(() => readGeneve(geneve, 0, 15, emptyOverlayHeader()), WireError);
  t.throws(() => readGeneve(hex('4000655800000000'), 0, 8, emptyOverlayHeader()), WireError);
  geneve[11] = 2;
  t.throws(() => geneveOptions(geneve, 0), WireError);
  const vxlan = hex('0800000000002a00');
  t.match(readVxlan(vxlan, 0, 8, emptyOverlayHeader()), { vni: 42, payloadOffset: 8 });
  t.throws(() => readVxlan(hex('0000000000002a00'), 0, 8, emptyOverlayHeader()), WireError);
});

t.test('decodeProxyV2() reads what encodeProxyV2() writes', async (t) => {
  for (const [a, b] of [
    ['10.244.1.2', '10.96.0.1'],
    ['fd00::1', 'fd00::2'],
  ] as const) {
    const source = { address: a, port: 40_000 };
    const destination = { address: b, port: 80 };
    const tlvs = [{ type: 0xd0, value: Buffer.from('spiffe://x') }];
    const bytes = encodeProxyV2(source, destination, tlvs);
    const header = { command: 'proxy' as const, source, destination, tlvs, length: bytes.length };
    t.same(decodeProxyV2(Buffer.concat([bytes, Buffer.from('GET /')])), header);
    for (let cut = 1; cut < bytes.length; cut++) {
      t.equal(decodeProxyV2(bytes.subarray(0, cut)), undefined, 'more is needed');
    }
  }
  const local = hex('0d0a0d0a000d0a515549540a 20 00 0000');
  t.same(decodeProxyV2(local), { command: 'local', tlvs: [], length: 16 });
  t.equal(isProxyV2(Buffer.from('GET / HTTP/1.1')), false);
  t.throws(() => decodeProxyV2(Buffer.from('GET / HTTP/1.1\r\n\r\n')), WireError);
  t.throws(() => decodeProxyV2(hex('0d0a0d0a000d0a515549540a 31 11 0000')), WireError);
  t.throws(() => decodeProxyV2(hex('0d0a0d0a000d0a515549540a 21 11 0000')), WireError);
  const cutTlv = Buffer.concat([hex('0d0a0d0a000d0a515549540a 21 00 0004'), hex('d0 0009 00')]);
  t.throws(() => decodeProxyV2(cutTlv), WireError);
});
