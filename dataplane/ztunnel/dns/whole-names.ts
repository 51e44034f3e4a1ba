import { DNS_TYPE, type DnsMessage, type DnsRecord } from '../../wire/dns.ts';
import { NameWriter, readName } from '../../wire/dns-name.ts';

const AFSDB = 18;
const RT = 21;

/** Types of a 16-bit number and a name that servers may compress (RFC 1035, RFC 1183). */
const NUMBER_AND_NAME: ReadonlySet<number> = new Set([DNS_TYPE.MX, AFSDB, RT]);

/**
 * The message with the names inside opaque record data written out: pointers mean nothing in the
 * message that the records are copied to.
 * @throws WireError when such a name cannot be read
 */
export function withWholeNames(message: DnsMessage, bytes: Buffer): DnsMessage {
  const whole = (record: DnsRecord): DnsRecord => {
    const { type, data } = record;
    if (data.kind !== 'raw' || !NUMBER_AND_NAME.has(type) || data.data.length < 3) return record;
    const start = data.data.byteOffset - bytes.byteOffset;
    const writer = new NameWriter(0);
    writer.uint16(bytes.readUInt16BE(start));
    writer.name(readName(bytes, start + 2).name, false);
    return { ...record, data: { kind: 'raw', data: Buffer.from(writer.bytes()) } };
  };
  return {
    ...message,
    answers: message.answers.map(whole),
    additionals: message.additionals.map(whole),
  };
}
