import {
  DNS_CLASS_IN,
  DNS_RCODE,
  DNS_TYPE,
  type DnsMessage,
  type DnsQuestion,
  type DnsRecord,
} from '../../wire/dns.ts';
import { type DnsLookup, type DnsMatch, lookupDns } from './lookup.ts';

/** Seconds that local answers may be kept (ztunnel `src/dns/server.rs`). */
export const LOCAL_TTL_SECONDS = 30;

const OPCODE_QUERY = 0;
const MIN_UDP_BYTES = 512;

/** The response to `query` without records: same id, question and EDNS, RA set. */
export function responseTo(query: DnsMessage, rcode: number): DnsMessage {
  const edns = query.edns && {
    udpPayloadBytes: Math.max(query.edns.udpPayloadBytes, MIN_UDP_BYTES),
    version: 0,
    isDnssecOk: query.edns.isDnssecOk,
    options: [],
  };
  return {
    id: query.id,
    isResponse: true,
    opcode: query.opcode,
    isAuthoritative: false,
    isTruncated: false,
    isRecursionDesired: query.isRecursionDesired,
    isRecursionAvailable: true,
    isAuthenticData: false,
    isCheckingDisabled: query.isCheckingDisabled,
    rcode,
    questions: query.questions,
    answers: [],
    authorities: [],
    additionals: [],
    ...(edns && { edns }),
  };
}

/** The refusal of a message that is no answerable query, undefined when it is one. */
export function refuse(query: DnsMessage): DnsMessage | undefined {
  if (query.isResponse || query.questions.length !== 1) {
    return responseTo(query, DNS_RCODE.formatError);
  }
  if (query.opcode !== OPCODE_QUERY) return responseTo(query, DNS_RCODE.notImplemented);
  return undefined;
}

/** What the mesh itself says to a query, and for which name; undefined when it has to be forwarded. */
export function answerLocally(
  query: DnsMessage,
  lookup: DnsLookup,
  shuffle: (addresses: readonly string[]) => readonly string[],
): { readonly response: DnsMessage; readonly match: DnsMatch } | undefined {
  const [question] = query.questions;
  if (!question || question.class !== DNS_CLASS_IN) return undefined;
  const family = familyOf(question.type);
  const match = family && lookupDns(lookup, normalName(question.name), family);
  if (!match) return undefined;
  const answers = records(question, match, shuffle(match.addresses));
  const response = responseTo(query, DNS_RCODE.noError);
  return { response: { ...response, isAuthoritative: true, answers }, match };
}

/** Bytes that a response may take over UDP: what EDNS of the query allows, at least 512. */
export function udpLimit(query: DnsMessage): number {
  return Math.max(query.edns?.udpPayloadBytes ?? MIN_UDP_BYTES, MIN_UDP_BYTES);
}

/** Lower case, no last dot. */
export function normalName(name: string): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
}

function familyOf(type: number): 4 | 6 | undefined {
  if (type === DNS_TYPE.A) return 4;
  return type === DNS_TYPE.AAAA ? 6 : undefined;
}

function records(
  question: DnsQuestion,
  match: DnsMatch,
  addresses: readonly string[],
): readonly DnsRecord[] {
  if (addresses.length === 0) return [];
  const common = { class: DNS_CLASS_IN, ttlSeconds: LOCAL_TTL_SECONDS };
  const owner = match.cname ?? question.name;
  const found = addresses.map((address): DnsRecord => {
    return { ...common, name: owner, type: question.type, data: { kind: 'address', address } };
  });
  if (match.cname === undefined) return found;
  const alias: DnsRecord = {
    ...common,
    name: question.name,
    type: DNS_TYPE.CNAME,
    data: { kind: 'name', name: match.cname },
  };
  return [alias, ...found];
}
