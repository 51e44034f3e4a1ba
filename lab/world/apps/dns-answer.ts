import {
  decodeDns,
  DNS_CLASS_IN,
  DNS_RCODE,
  DNS_TYPE,
  encodeDns,
  type DnsData,
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
} from '../../../dataplane/wire/dns.ts';
import { TTL_SECONDS, type Zone, type ZoneRecord } from './dns-zone.ts';

const HEADER_BYTES = 12;
const PLAIN_UDP_BYTES = 512;
/** Ours; fits an Ethernet frame (what CoreDNS and most servers announce). */
const EDNS_UDP_BYTES = 1232;
const TYPE_NUMBERS = {
  A: DNS_TYPE.A,
  AAAA: DNS_TYPE.AAAA,
  SRV: DNS_TYPE.SRV,
  PTR: DNS_TYPE.PTR,
  TXT: DNS_TYPE.TXT,
} as const;

/**
 * The answer of the cluster's DNS to one message, or nothing for what is no query (RFC 1035 §4.1.1:
 * too short for an id, or itself a response). Names of the zone are answered with authority: what
 * exists without data of the wished type gets NOERROR, the rest NXDOMAIN. Nothing is forwarded, so
 * every other name is unknown too: the world of a lab ends at its edge.
 */
export function answerDns(zone: Zone, query: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined {
  if (query.length < HEADER_BYTES || (query.readUInt8(2) & 0x80) !== 0) return undefined;
  let message: DnsMessage;
  try {
    message = decodeDns(query);
  } catch {
    return refusal(query, DNS_RCODE.formatError);
  }
  const [question, another] = message.questions;
  if (message.opcode !== 0) return refusal(query, DNS_RCODE.notImplemented);
  if (!question || another) return refusal(query, DNS_RCODE.formatError);
  const asked = message.edns
    ? Math.max(PLAIN_UDP_BYTES, message.edns.udpPayloadBytes)
    : PLAIN_UDP_BYTES;
  const limit = transport === 'tcp' ? 65_535 : Math.min(asked, EDNS_UDP_BYTES);
  return encodeDns(respond(zone, message, question), limit);
}

function respond(zone: Zone, query: DnsMessage, question: DnsQuestion): DnsMessage {
  const name = question.name.toLowerCase();
  const found = question.class === DNS_CLASS_IN ? (zone.records.get(name) ?? []) : [];
  const answers = found
    .filter((r) => question.type === DNS_TYPE.ANY || TYPE_NUMBERS[r.type] === question.type)
    .map((r) => toDns(r, question.name));
  const isKnown = found.length > 0 || zone.parents.has(name);
  const targets = answers.flatMap(({ data }) =>
    data.kind === 'srv' ? (zone.records.get(data.target) ?? []) : [],
  );
  return {
    ...query,
    isResponse: true,
    isAuthoritative: true,
    isTruncated: false,
    isRecursionAvailable: true,
    isAuthenticData: false,
    rcode: isKnown ? DNS_RCODE.noError : DNS_RCODE.nameError,
    questions: [question],
    answers,
    authorities: answers.length === 0 ? [startOfAuthority(zone.domain)] : [],
    additionals: [...new Set(targets)].filter(isAddress).map((r) => toDns(r, r.name)),
    ...(query.edns && {
      edns: { udpPayloadBytes: EDNS_UDP_BYTES, version: 0, isDnssecOk: false, options: [] },
    }),
  };
}

function isAddress({ type }: ZoneRecord): boolean {
  return type === 'A' || type === 'AAAA';
}

/** @param name As the question spelt it: resolvers compare the case. */
function toDns(record: ZoneRecord, name: string): DnsRecord {
  return {
    name,
    type: TYPE_NUMBERS[record.type],
    class: DNS_CLASS_IN,
    ttlSeconds: TTL_SECONDS,
    data: dataOf(record),
  };
}

function dataOf(record: ZoneRecord): DnsData {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return { kind: 'address', address: record.address };
    case 'PTR':
      return { kind: 'name', name: record.target };
    case 'TXT':
      return { kind: 'txt', strings: [Buffer.from(record.text)] };
    case 'SRV': {
      const { weight, port, target } = record;
      return { kind: 'srv', priority: 0, weight, port, target };
    }
  }
}

/** Negative answers are cached for the minimum of it (RFC 2308 §3). */
function startOfAuthority(domain: string): DnsRecord {
  return {
    name: domain,
    type: DNS_TYPE.SOA,
    class: DNS_CLASS_IN,
    ttlSeconds: TTL_SECONDS,
    data: {
      kind: 'soa',
      primary: `ns.dns.${domain}`,
      mailbox: `hostmaster.${domain}`,
      serial: 1,
      refreshSeconds: 7200,
      retrySeconds: 1800,
      expireSeconds: 86_400,
      minimumSeconds: TTL_SECONDS,
    },
  };
}

/** The header alone, with the id of the query. */
function refusal(query: Buffer, rcode: number): Buffer {
  const answer = Buffer.alloc(HEADER_BYTES);
  answer.writeUInt16BE(query.readUInt16BE(0), 0);
  answer.writeUInt16BE(0x8000 | (query.readUInt16BE(2) & 0x7900) | rcode, 2);
  return answer;
}
