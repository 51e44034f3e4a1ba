import { crossCheck, type Disagreement } from '../../dataplane/redirect/cross-check.ts';
import { NftPrints } from '../../dataplane/agent/nft-prints.ts';
import { findDrift, ourChains, type Drift } from '../../dataplane/redirect/diff.ts';
import { findNftDrift, ourTables } from '../../dataplane/redirect/nft-drift.ts';
import type { NftPrint } from '../../dataplane/redirect/nft-drift.ts';
import type { NftListing } from '../../dataplane/redirect/nft-listing.ts';
import { parseNft } from '../../dataplane/redirect/parse-nft.ts';
import { parseSave } from '../../dataplane/redirect/parse-save.ts';
import { isListedAs } from '../../dataplane/redirect/routing.ts';
import type { RoutingEntry, RuleSet } from '../../dataplane/redirect/rule.ts';
import type { SavedRules } from '../../dataplane/redirect/saved.ts';
import { type Direction, type WalkStep, walkRules } from '../../dataplane/redirect/walk.ts';
import { mergeNftWalk } from '../../dataplane/redirect/walk-nft.ts';
import type { Plan } from '../plan/plan.ts';
import { inPlace, tryInPlace } from '../world/in-place.ts';
import type { Lab, LabStatus } from '../world/lab.ts';
import { hasIpv6 } from '../plan/families.ts';
import { findParty } from '../plan/names.ts';
import type { CountedRule } from '../policy/read-back.ts';
import { explainPolicies } from './explain-policies.ts';
import { type HostStateReading, isHostStateRight, readHostState } from './read-host-state.ts';
import { type Ipv6Reading, type Ipv6Texts, readIpv6Rules } from './read-ipv6-rules.ts';
import { probedPods, readSet, setCommand, type SetReading } from './read-sets.ts';
import { wantedRules, type RulesPlaceInLab } from './wanted-rules.ts';

/** The rules of one place in a running lab, as the kernel tells them, and what we know of them. */
export interface RulesReading {
  readonly target: string;
  readonly role: 'pod' | 'node' | 'ztunnel' | 'other';
  readonly enrolled: boolean;
  readonly walks: readonly { readonly direction: Direction; readonly steps: readonly WalkStep[] }[];
  /** `ip rule` and `ip route show table all`, line by line. */
  readonly policyRules: readonly string[];
  readonly routes: readonly string[];
  readonly routing: readonly RoutingEntry[];
  /** Entries of `routing` that the kernel has not. */
  readonly missingRouting: readonly RoutingEntry[];
  /** What differs from the rules that the lab's era wants here; absent where none are wanted. */
  readonly drift?: Drift;
  /** Where a second parser (the npm package iptables-parser) read the same text otherwise. */
  readonly disagreements: readonly Disagreement[];
  /** What no rule set wants here and is there all the same: another era's, or of a pod that left. */
  readonly leftovers: readonly string[];
  /** Sets that rules of ours match, where there are such rules. */
  readonly sets: readonly SetReading[];
  /** Settings and tunnels of the era here, beside what they are. */
  readonly host: HostStateReading;
  /** The text of `iptables-save -c`, untouched. */
  readonly saved: string;
  /** The text of `nft -y list ruleset`, untouched; absent where nft is not installed. */
  readonly nft?: string;
  /** The same of IPv6, in a lab that has it. Rules of nftables stand in `walks`, for both families. */
  readonly ipv6?: Ipv6Reading;
}

/** Reads rules, policy rules and routes of a pod, a node, `outside` or `ztunnel/<node>`. */
export async function readRules(lab: Lab, target: string): Promise<RulesReading> {
  const status = await lab.status();
  const found = placeOf(lab.plan, status, target);
  const place = { role: found.role, enrolled: found.enrolled };
  const enrolled = new Set(status.pods.filter((pod) => pod.enrolled).map(({ uid }) => uid));
  const wanted = wantedRules(lab.plan, found, enrolled);
  const [saved, legacy, nft, policyRules, routes, sets, ipv6Texts, host, policies] =
    await Promise.all([
      inPlace(lab, target, ['iptables-save', '-c']),
      readLegacy(lab, target),
      tryInPlace(lab, target, ['nft', '-y', 'list', 'ruleset']),
      inPlace(lab, target, ['ip', 'rule', 'show']),
      inPlace(lab, target, ['ip', 'route', 'show', 'table', 'all']),
      readSets(lab, target, status, wanted),
      hasIpv6(lab.plan) ? readIpv6Texts(lab, target) : undefined,
      readHostState(lab, target, wanted),
      readPolicies(lab, found),
    ]);
  const known = wanted?.families ?? [];
  const routing = (wanted?.routing ?? []).filter(({ family }) => family === 'ipv4');
  const listed = [...lines(policyRules), ...lines(routes)];
  const rules = parseSave(saved);
  const directions = directionsOf(place.role);
  const ipv6 = ipv6Texts && readIpv6Rules(ipv6Texts, wanted, directions);
  const listing = withoutIptables(parseNft(nft ?? ''), rules, ipv6Texts?.saved);
  const print = wanted?.nft && (await new NftPrints().of(wanted.nft, {}));
  const drift = driftOf(wanted, rules, listing, print);
  return {
    target,
    ...place,
    walks: directions.map((direction) => ({
      direction,
      steps: explainPolicies(
        mergeNftWalk(
          walkRules(rules, direction, { family: 'ipv4', known }),
          listing,
          direction,
          print?.rules,
        ),
        policies,
      ),
    })),
    policyRules: lines(policyRules),
    routes: lines(routes),
    routing,
    missingRouting: routing.filter((entry) => !listed.some((line) => isListedAs(entry, line))),
    ...(drift === undefined ? {} : { drift }),
    leftovers: leftoversOf(wanted, rules, listing, parseSave(legacy)),
    sets,
    host,
    disagreements: crossCheck(saved),
    saved,
    ...(nft === undefined ? {} : { nft }),
    ...(ipv6 && { ipv6 }),
  };
}

/** Whether anything is not as the era wants it. */
export function isDrifted(reading: RulesReading): boolean {
  const { drift, missingRouting, leftovers, sets, ipv6, host } = reading;
  if (!isHostStateRight(host)) return true;
  if (ipv6 && (ipv6.drift?.isClean === false || ipv6.missingRouting.length > 0)) return true;
  const isSetWrong = sets.some(({ missing, extra }) => missing.length + extra.length > 0);
  return drift?.isClean === false || missingRouting.length + leftovers.length > 0 || isSetWrong;
}

/** Rules of NetworkPolicies on a node with their reasons. */
async function readPolicies(
  lab: Lab,
  { role, node }: RulesPlaceInLab,
): Promise<readonly CountedRule[]> {
  return role === 'node' && node !== undefined ? lab.policyRules(node.name) : [];
}

function driftOf(
  wanted: RuleSet | undefined,
  rules: SavedRules,
  listing: NftListing,
  print: NftPrint | undefined,
): Drift | undefined {
  if (print !== undefined) return findNftDrift(print, listing);
  const ipv4 = wanted?.families.find(({ family }) => family === 'ipv4');
  return ipv4 === undefined ? undefined : findDrift(ipv4, rules);
}

/** Tables that iptables keeps in nf_tables are read by iptables-save already. */
function withoutIptables(
  listing: NftListing,
  rules: SavedRules,
  ipv6: string | undefined,
): NftListing {
  const named = (family: string, saved: SavedRules): readonly string[] =>
    saved.tables.map(({ name }) => `${family} ${name}`);
  const names = new Set([...named('ip', rules), ...named('ip6', parseSave(ipv6 ?? ''))]);
  return {
    tables: listing.tables.filter(({ family, name }) => !names.has(`${family} ${name}`)),
  };
}

function leftoversOf(
  wanted: RuleSet | undefined,
  rules: SavedRules,
  listing: NftListing,
  legacy: SavedRules,
): readonly string[] {
  const hasIptables = (wanted?.families.length ?? 0) > 0;
  const chains = (saved: SavedRules): readonly string[] => ourChains(saved);
  const isLegacyRead = JSON.stringify(chains(legacy)) === JSON.stringify(chains(rules));
  return [
    ...(hasIptables ? [] : chains(rules).map((chain) => `chain ${chain} of iptables`)),
    ...(isLegacyRead ? [] : chains(legacy).map((chain) => `chain ${chain} of iptables-legacy`)),
    ...(wanted?.nft === undefined ? ourTables(listing) : []).map(
      (table) => `table inet ${table} of nftables`,
    ),
  ];
}

/** Rules of the legacy backend; looked for only where it has tables, for looking makes some. */
async function readLegacy(lab: Lab, target: string): Promise<string> {
  const tables = await tryInPlace(lab, target, ['cat', '/proc/net/ip_tables_names']);
  if (tables === undefined || tables.trim() === '') return '';
  return (await tryInPlace(lab, target, ['iptables-legacy-save', '-c'])) ?? '';
}

async function readSets(
  lab: Lab,
  target: string,
  status: LabStatus,
  wanted: RuleSet | undefined,
): Promise<readonly SetReading[]> {
  const party = findParty(lab.plan, target);
  if (party.kind !== 'node') return [];
  const { name } = party.node;
  return Promise.all(
    (wanted?.sets ?? []).map(async (set) => {
      const members = probedPods(lab.plan, status, name, set.family);
      const reading = readSet(set, await tryInPlace(lab, target, setCommand(set)), members);
      return withNames(lab.plan, reading);
    }),
  );
}

function withNames(plan: Plan, reading: SetReading): SetReading {
  if (reading.members === undefined) return reading;
  const members = reading.members.map((member) => {
    const pod = plan.pods.find(({ uid }) => uid === member.uid);
    return pod === undefined ? member : { ...member, pod: `${pod.namespace}/${pod.name}` };
  });
  return { ...reading, members };
}

async function readIpv6Texts(lab: Lab, target: string): Promise<Ipv6Texts> {
  const [saved, policyRules, routes] = await Promise.all([
    inPlace(lab, target, ['ip6tables-save', '-c']),
    inPlace(lab, target, ['ip', '-6', 'rule', 'show']),
    inPlace(lab, target, ['ip', '-6', 'route', 'show', 'table', 'all']),
  ]);
  return { saved, policyRules: lines(policyRules), routes: lines(routes) };
}

/** The ways through a place, replies last. */
export function directionsOf(role: RulesReading['role']): readonly Direction[] {
  const ends: readonly Direction[] = ['inbound', 'outbound'];
  const replies: readonly Direction[] = ['reply-to-inbound', 'reply-to-outbound'];
  if (role !== 'node') return [...ends, ...replies];
  return [...ends, 'forwarded', ...replies, 'reply-to-forwarded'];
}

function placeOf(plan: Plan, status: LabStatus, text: string): RulesPlaceInLab {
  const party = findParty(plan, text);
  switch (party.kind) {
    case 'node':
      return { role: 'node', enrolled: false, node: party.node };
    case 'pod': {
      const pod = status.pods.find(({ uid }) => uid === party.pod.uid);
      const annotations = pod?.annotations ?? party.pod.annotations;
      const enrolled = pod?.enrolled ?? false;
      return { role: 'pod', enrolled, pod: { ...party.pod, annotations } };
    }
    case 'ztunnel':
      return { role: 'ztunnel', enrolled: false, node: party.node };
    case 'guest':
    case 'outside':
    case 'fabric':
      return { role: 'other', enrolled: false };
  }
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}
