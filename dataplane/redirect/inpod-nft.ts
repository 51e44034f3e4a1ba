import {
  INPOD_MARK,
  INPOD_MASK,
  INPOD_TPROXY_MARK,
  ZTUNNEL_DNS_PORT,
  ZTUNNEL_HBONE_PORT,
  ZTUNNEL_INBOUND_PLAINTEXT_PORT,
  ZTUNNEL_OUTBOUND_PORT,
} from './constants.ts';
import type { FamilyOptions } from './pod-rules.ts';
import * as reasons from './reasons.ts';
import {
  NFT_MANGLE_TABLE,
  NFT_NAT_TABLE,
  NFT_OUTPUT,
  NFT_PREROUTING,
  NFT_RAW_TABLE,
} from './nft-rule.ts';
import type { NftChain, NftHook, NftRule, NftTable } from './nft-rule.ts';
import type { Family } from './rule.ts';

/** What the families differ in; everything else is said once for both. */
export interface NftFamily extends Pick<FamilyOptions, 'probeAddress' | 'loopback'> {
  readonly family: Family;
}

export interface NftPodOptions extends Pick<
  FamilyOptions,
  'dnsCapture' | 'bypassInbound' | 'virtualInterfaces'
> {
  readonly families: readonly NftFamily[];
}

const TCP = 'meta l4proto tcp';
const NOT_ZTUNNEL = `meta mark & 0x${INPOD_MASK.toString(16)} != 0x${INPOD_MARK.toString(16)}`;
const FROM_ZTUNNEL = `meta mark & 0x${INPOD_MASK.toString(16)} == 0x${INPOD_MARK.toString(16)}`;
const BORROWED = `& 0x${INPOD_MASK.toString(16)} == 0x${INPOD_TPROXY_MARK.toString(16)}`;
/** Bits of the connection mark that are not Istio's stay (`config.InpodTProxyMask` upstream). */
const OTHER_BITS = `0x${(~INPOD_MASK >>> 0).toString(16)}`;

/**
 * Tables of Istio 1.28 and later with `nativeNftables`: `cni/pkg/nftables/testdata/*.golden` at
 * 1.30.3, in their order.
 */
export function inpodNftTables(options: NftPodOptions): readonly NftTable[] {
  const tables = [natTable(options), mangleTable()];
  return options.dnsCapture ? [...tables, rawTable()] : tables;
}

function natTable(options: NftPodOptions): NftTable {
  const { families } = options;
  const rules = [
    jump('output'),
    jump('prerouting'),
    ...options.virtualInterfaces.flatMap((name) => virtualInterface(name)),
  ];
  if (!options.bypassInbound) {
    rules.push(...families.map(acceptProbe));
  }
  rules.push(...families.map(acceptProbeReply));
  if (!options.bypassInbound) rules.push(...families.map(captureInbound));
  if (options.dnsCapture) rules.push(captureDnsUdp(), ...families.map(captureDnsTcp));
  rules.push(
    rule(NFT_OUTPUT, [TCP, `meta mark ${BORROWED}`], 'accept', reasons.ACCEPT_BORROWED_ADDRESS),
    ...families.map(acceptOwnAddress),
    ...families.map(captureOutbound),
  );
  return table(
    NFT_NAT_TABLE,
    { type: 'nat', priority: -100 },
    { type: 'nat', priority: -100 },
    rules,
  );
}

function mangleTable(): NftTable {
  const mark = `0x${INPOD_TPROXY_MARK.toString(16)}`;
  const rules = [
    jump('prerouting'),
    jump('output'),
    rule(
      NFT_PREROUTING,
      [FROM_ZTUNNEL],
      `ct mark set ct mark & ${OTHER_BITS} | ${mark}`,
      reasons.MARK_ZTUNNEL_CONNECTIONS,
    ),
    rule(
      NFT_OUTPUT,
      [`ct mark ${BORROWED}`],
      'meta mark set ct mark',
      reasons.RESTORE_CONNECTION_MARK,
    ),
  ];
  const priority = -150;
  return table(NFT_MANGLE_TABLE, { type: 'filter', priority }, { type: 'route', priority }, rules);
}

/** Keeps ztunnel's own questions apart from the app's in the connection table. */
function rawTable(): NftTable {
  const rules = [
    jump('prerouting'),
    jump('output'),
    rule(NFT_OUTPUT, ['udp dport 53', FROM_ZTUNNEL], 'ct zone set 1', reasons.ZONE_OF_QUESTIONS),
    rule(NFT_PREROUTING, ['udp sport 53', NOT_ZTUNNEL], 'ct zone set 1', reasons.ZONE_OF_ANSWERS),
  ];
  const priority = -300;
  return table(NFT_RAW_TABLE, { type: 'filter', priority }, { type: 'filter', priority }, rules);
}

function virtualInterface(name: string): readonly NftRule[] {
  const match = [`iifname "${name}"`, TCP];
  return [
    rule(NFT_PREROUTING, match, to(ZTUNNEL_OUTBOUND_PORT), reasons.captureGuest(name)),
    rule(NFT_PREROUTING, match, 'return', reasons.spareGuest(name)),
  ];
}

function acceptProbe({ family, probeAddress }: NftFamily): NftRule {
  const source = `${ip(family)} saddr ${probeAddress}`;
  return rule(NFT_PREROUTING, [TCP, source], 'accept', reasons.ACCEPT_PROBE);
}

function acceptProbeReply({ family, probeAddress }: NftFamily): NftRule {
  const destination = `${ip(family)} daddr ${probeAddress}`;
  return rule(NFT_OUTPUT, [TCP, destination], 'accept', reasons.ACCEPT_PROBE_REPLY);
}

function captureInbound(family: NftFamily): NftRule {
  const match = [notLoopback(family), `tcp dport != ${ZTUNNEL_HBONE_PORT}`, NOT_ZTUNNEL];
  const target = to(ZTUNNEL_INBOUND_PLAINTEXT_PORT);
  return rule(NFT_PREROUTING, match, target, reasons.CAPTURE_INBOUND);
}

function captureDnsUdp(): NftRule {
  const match = ['oifname != "lo"', NOT_ZTUNNEL, 'udp dport 53'];
  return rule(NFT_OUTPUT, match, to(ZTUNNEL_DNS_PORT), reasons.CAPTURE_DNS_UDP);
}

function captureDnsTcp(family: NftFamily): NftRule {
  const match = [notLoopback(family), 'tcp dport 53', NOT_ZTUNNEL];
  return rule(NFT_OUTPUT, match, to(ZTUNNEL_DNS_PORT), reasons.CAPTURE_DNS_TCP);
}

function acceptOwnAddress(family: NftFamily): NftRule {
  const match = ['oifname "lo"', notLoopback(family)];
  return rule(NFT_OUTPUT, match, 'accept', reasons.ACCEPT_OWN_ADDRESS);
}

function captureOutbound(family: NftFamily): NftRule {
  const match = [TCP, notLoopback(family), NOT_ZTUNNEL];
  return rule(NFT_OUTPUT, match, to(ZTUNNEL_OUTBOUND_PORT), reasons.CAPTURE_OUTBOUND);
}

function jump(from: 'prerouting' | 'output'): NftRule {
  const isInbound = from === 'prerouting';
  return {
    chain: from,
    statements: [`jump ${isInbound ? NFT_PREROUTING : NFT_OUTPUT}`],
    why: isInbound ? reasons.JUMP_INBOUND : reasons.JUMP_OUTBOUND,
  };
}

function rule(chain: string, match: readonly string[], verdict: string, why: string): NftRule {
  return { chain, statements: [...match, 'counter', verdict], why };
}

function table(
  name: string,
  prerouting: Pick<NftHook, 'type' | 'priority'>,
  output: Pick<NftHook, 'type' | 'priority'>,
  rules: readonly NftRule[],
): NftTable {
  const chains: readonly NftChain[] = [
    { name: 'prerouting', base: { ...prerouting, hook: 'prerouting' } },
    { name: 'output', base: { ...output, hook: 'output' } },
    { name: NFT_PREROUTING },
    { name: NFT_OUTPUT },
  ];
  return { name, sets: [], chains, rules };
}

function to(port: number): string {
  return `redirect to :${port}`;
}

function notLoopback({ family, loopback }: NftFamily): string {
  return `${ip(family)} daddr != ${loopback}`;
}

function ip(family: Family): 'ip' | 'ip6' {
  return family === 'ipv4' ? 'ip' : 'ip6';
}
