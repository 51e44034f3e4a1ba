import type { Drift } from '../../dataplane/redirect/diff.ts';
import { ipArguments, isListedAs } from '../../dataplane/redirect/routing.ts';
import type { SetMember } from '../../dataplane/agent/set-member.ts';
import type { HostStateReading } from '../run/read-host-state.ts';
import { isDrifted, type RulesReading } from '../run/read-rules.ts';
import type { SetReading } from '../run/read-sets.ts';
import { counted } from './text.ts';
import { renderWalks } from './walk.ts';
import { wrapText } from './wrap.ts';

export interface RulesTextOptions {
  readonly width: number;
}

/** The rules of a place as text: hook by hook in walking order, with counters and reasons. */
export function renderRules(reading: RulesReading, options: RulesTextOptions): string {
  return [
    `${reading.target}: ${describe(reading)}`,
    '',
    ...renderWalks(reading.walks, options),
    'Policy routing:',
    ...renderRouting(reading, options),
    '',
    ...renderIpv6(reading, options),
    ...renderSets(reading, options),
    ...renderHost(reading, options),
    renderDrift(reading),
    renderCrossCheck(reading),
  ].join('\n');
}

function renderIpv6({ ipv6 }: RulesReading, options: RulesTextOptions): readonly string[] {
  if (ipv6 === undefined) return [];
  return [
    'IPv6',
    '',
    ...renderWalks(ipv6.walks, options),
    'Policy routing of IPv6:',
    ...renderRouting(ipv6, options),
    '',
  ];
}

function describe(reading: RulesReading): string {
  if (reading.role === 'pod') return reading.enrolled ? 'enrolled pod' : 'pod outside the mesh';
  if (reading.role === 'node') return 'node';
  const hasRules = reading.routing.length > 0;
  return hasRules ? "pod of the node's ztunnel" : 'namespace without redirect';
}

/** The kernel's policy rules and the routes they lead to, each of ours with its reason. */
function renderRouting(
  reading: Pick<RulesReading, 'policyRules' | 'routes' | 'routing'>,
  options: RulesTextOptions,
): readonly string[] {
  const { policyRules, routes, routing } = reading;
  const led = routes.filter((line) => routing.some((entry) => isListedAs(entry, line)));
  return [...policyRules, ...led].flatMap((line) => {
    const ours = routing.filter((entry) => isListedAs(entry, line));
    const whys = ours.map(({ why }) => wrapText(`why: ${why}`, 6, options.width, 11));
    return [`  ${line.trim().replaceAll('\t', ' ')}`, ...whys];
  });
}

/** Sets that the rules match, with whose addresses are in them. */
function renderSets({ sets }: RulesReading, { width }: RulesTextOptions): readonly string[] {
  if (sets.length === 0) return [];
  const lines = sets.flatMap(({ name, members = [] }) => [
    `  ${name}: ${members.length === 0 ? 'empty' : counted(members.length, 'address', 'addresses')}`,
    ...members.map(({ address, uid, pod }) =>
      wrapText(`${address}  ${pod ?? 'no pod of this lab'}, uid ${uid}`, 4, width, 8),
    ),
  ]);
  return ['Sets of addresses:', ...lines, ''];
}

/** Tunnels and settings that the redirect rests on. */
function renderHost({ host }: RulesReading, { width }: RulesTextOptions): readonly string[] {
  const why = (text: string): string => wrapText(`why: ${text}`, 6, width, 11);
  const links = host.links.flatMap((link) => [
    wrapText(`${link.name}: ${link.found ?? 'NOT HERE'}, ${link.address}`, 2, width, 6),
    why(link.why),
    ...(link.programs ?? []).map(({ link: below, way, id, tag, instructions }) => {
      const what = way === 'leaving' ? 'VXLAN becomes Geneve' : 'Geneve becomes VXLAN';
      const count = `${instructions.filter((line) => !line.endsWith(':')).length} instructions`;
      const program = `eBPF geneve_${way}, id ${id}, tag ${tag}, ${count} (--json lists them)`;
      return wrapText(`at ${below}, ${way}: ${what} (${program})`, 6, width, 11);
    }),
  ]);
  const settings = host.settings.flatMap(({ key, value, found, why: reason }) => [
    `  ${key} = ${found ?? 'NOT HERE'}${found === value ? '' : ` (wanted: ${value})`}`,
    why(reason),
  ]);
  return [
    ...(links.length === 0 ? [] : ['Tunnels:', ...links, '']),
    ...(settings.length === 0 ? [] : ['Kernel settings:', ...settings, '']),
  ];
}

function describeHost({ links, settings }: HostStateReading): readonly string[] {
  const wrong = settings.filter(({ value, found }) => value !== found);
  return [
    ...links
      .filter(({ isRight }) => !isRight)
      .map(({ name, vni, remote, port, found }) => {
        const wished = `VNI ${vni} to ${remote}:${port}, up`;
        return `  link     ${name}: ${found ?? 'not here'}, wished: ${wished}`;
      }),
    ...wrong.map(({ key, value, found }) => {
      return `  setting  ${key} = ${found ?? 'not here'}, wished: ${value}`;
    }),
  ];
}

function renderDrift(reading: RulesReading): string {
  const { drift, leftovers, sets, ipv6 } = reading;
  const missingRouting = [...reading.missingRouting, ...(ipv6?.missingRouting ?? [])];
  if (!isDrifted(reading)) {
    if (drift === undefined) return 'No redirect rules are wanted here, and none are here.';
    return 'As wanted: the kernel has every rule and route of the era, in order, and no rule too many.';
  }
  const routing = missingRouting.map(
    (entry) => `  missing  ip ${ipArguments(entry, 'add').join(' ')}`,
  );
  return [
    drift === undefined
      ? 'DIFFERS: no redirect rules are wanted here, and these are left of one (`enrol` and `leave` remove them):'
      : 'DIFFERS from what the era wants (`enrol` the pod again to repair it):',
    ...(drift === undefined ? [] : describeDrift(drift)),
    ...(ipv6?.drift === undefined ? [] : describeDrift(ipv6.drift).map((line) => `${line} (IPv6)`)),
    ...leftovers.map((what) => `  leftover ${what}`),
    ...sets.flatMap(describeSet),
    ...describeHost(reading.host),
    ...routing,
  ].join('\n');
}

function describeDrift(drift: Drift): readonly string[] {
  const missing = drift.missing.map(
    (rule) => `  missing  ${rule.table} ${rule.chain}: ${rule.text}`,
  );
  const extra = drift.extra.map((rule) => `  extra    ${rule.table} ${rule.chain}: ${rule.text}`);
  const order = drift.reordered.map((place) => `  order    ${place.table} ${place.chain}`);
  const chains = [
    ...drift.missingChains.map((chain) => `  missing  chain ${chain}`),
    ...drift.leftoverChains.map((chain) => `  leftover chain ${chain}`),
  ];
  return [...chains, ...missing, ...extra, ...order];
}

function describeSet({ name, missing, extra }: SetReading): readonly string[] {
  const member = ({ address, uid }: SetMember): string => `${address} "${uid}"`;
  return [
    ...missing.map((one) => `  missing  set ${name}: ${member(one)}`),
    ...extra.map((one) => `  extra    set ${name}: ${member(one)}`),
  ];
}

function renderCrossCheck({ disagreements }: RulesReading): string {
  if (disagreements.length === 0)
    return 'Read by a second parser too: both see the same tables, chains and rules.';
  const places = disagreements.map(({ table, what }) => `${what} of ${table}`).join(', ');
  return `A second parser reads this otherwise: ${places}. Trust the text of --raw.`;
}
