import { normaliseAddress } from './normalise-address.ts';
import { normaliseMarkOption } from './normalise-mark.ts';
import { renderOption } from './render.ts';
import type { Family, RuleOption } from './rule.ts';

/** Spellings of the command line and the one that iptables-save prints. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['--source', '-s'],
  ['--src', '-s'],
  ['--destination', '-d'],
  ['--dst', '-d'],
  ['--in-interface', '-i'],
  ['--out-interface', '-o'],
  ['--protocol', '-p'],
  ['--proto', '-p'],
  ['--match', '-m'],
  ['--jump', '-j'],
  ['--goto', '-g'],
  ['--destination-port', '--dport'],
  ['--source-port', '--sport'],
  ['--to-port', '--to-ports'],
]);

/** Options of the packet header, in the order in which iptables-save prints them. */
const HEADER_ORDER = ['-s', '-d', '-i', '-o', '-p', '-f'];

/** Options that load the protocol's own match when nobody named it. */
const PROTOCOL_OPTIONS: ReadonlySet<string> = new Set([
  '--dport',
  '--sport',
  '--syn',
  '--tcp-flags',
  '--tcp-option',
  '--icmp-type',
  '--icmpv6-type',
]);

const PROTOCOLS: ReadonlyMap<string, string> = new Map([
  ['1', 'icmp'],
  ['6', 'tcp'],
  ['17', 'udp'],
  ['58', 'ipv6-icmp'],
  ['132', 'sctp'],
  ['icmpv6', 'ipv6-icmp'],
]);

/** Order of states in libxt_conntrack's output. */
const STATES = ['INVALID', 'NEW', 'RELATED', 'ESTABLISHED', 'UNTRACKED', 'SNAT', 'DNAT'];

interface Module {
  readonly name: string;
  readonly options: RuleOption[];
}

interface Grouped {
  readonly header: RuleOption[];
  readonly modules: Module[];
  readonly target: RuleOption[];
}

/**
 * A rule in the spelling of `iptables-save` (1.8): long names shortened, addresses with prefix, marks
 * in hex with mask, implied matches written out, header options in order. Two rules that the kernel
 * holds as one have one text.
 */
export function normaliseRule(options: readonly RuleOption[], family: Family): string {
  const { header, modules, target } = group(options.map(unalias));
  const protocol = header.find((option) => option.flag === '-p')?.values[0];
  const normalHeader = HEADER_ORDER.flatMap((flag) =>
    header.filter((option) => option.flag === flag),
  ).flatMap((option) => normaliseHeader(option, family));
  const normalModules = modules.flatMap((module) => [
    { flag: '-m', values: [module.name === '' ? protocolName(protocol ?? '') : module.name] },
    ...module.options.map(normaliseMatch),
  ]);
  return [...normalHeader, ...normalModules, ...normaliseTarget(target, family)]
    .map(renderOption)
    .join(' ');
}

function unalias(option: RuleOption): RuleOption {
  const flag = ALIASES.get(option.flag);
  return flag === undefined ? option : { ...option, flag };
}

function group(options: readonly RuleOption[]): Grouped {
  const grouped: Grouped = { header: [], modules: [], target: [] };
  for (const option of options) {
    if (HEADER_ORDER.includes(option.flag)) grouped.header.push(option);
    else if (option.flag === '-j' || option.flag === '-g' || grouped.target.length > 0) {
      grouped.target.push(option);
    } else if (option.flag === '-m') {
      grouped.modules.push({ name: option.values[0] ?? '', options: [] });
    } else moduleFor(option, grouped).options.push(option);
  }
  return grouped;
}

/** The match that an option belongs to; '' stands for the protocol's own, loaded by this option. */
function moduleFor(option: RuleOption, grouped: Grouped): Module {
  const protocol = grouped.header.find((header) => header.flag === '-p')?.values[0];
  const last = grouped.modules.at(-1);
  if (!PROTOCOL_OPTIONS.has(option.flag) && last !== undefined) return last;
  const own = grouped.modules.find(
    (module) => module.name === '' || module.name === protocolName(protocol ?? ''),
  );
  if (own !== undefined) return own;
  const implied: Module = { name: '', options: [] };
  grouped.modules.push(implied);
  return implied;
}

function normaliseHeader(option: RuleOption, family: Family): readonly RuleOption[] {
  const value = option.values[0] ?? '';
  if (option.flag === '-p') return [{ ...option, values: [protocolName(value)] }];
  if (option.flag !== '-s' && option.flag !== '-d') return [option];
  const address = normaliseAddress(value, family);
  const isAny = address === (family === 'ipv4' ? '0.0.0.0/0' : '::/0');
  return isAny && option.negated !== true ? [] : [{ ...option, values: [address] }];
}

function normaliseMatch(option: RuleOption): RuleOption {
  if (option.flag === '--ctstate' || option.flag === '--state') {
    const states = (option.values[0] ?? '').split(',');
    const known = STATES.filter((state) => states.includes(state));
    const unknown = states.filter((state) => !STATES.includes(state));
    return { ...option, values: [[...known, ...unknown].join(',')] };
  }
  if (option.flag === '--syn') {
    return { ...option, flag: '--tcp-flags', values: ['FIN,SYN,RST,ACK', 'SYN'] };
  }
  return option.flag === '--mark' ? normaliseMarkOption(option) : option;
}

function normaliseTarget(options: readonly RuleOption[], family: Family): readonly RuleOption[] {
  const [jump, ...rest] = options;
  if (jump === undefined) return [];
  const extension = rest.map((option) => normaliseMarkOption(option, jump.values[0]));
  switch (jump.values[0] ?? '') {
    case 'TPROXY':
      return [jump, ...tproxyOptions(extension, family)];
    case 'CONNMARK':
      return [jump, ...connmarkOptions(extension)];
    case 'REJECT': {
      const reason = family === 'ipv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
      const isDefault = extension.length === 0;
      return [jump, ...(isDefault ? [{ flag: '--reject-with', values: [reason] }] : extension)];
    }
    default:
      return [jump, ...extension];
  }
}

/** TPROXY prints port, address and mark, whether they were given or not. */
function tproxyOptions(options: readonly RuleOption[], family: Family): readonly RuleOption[] {
  const given = (flag: string, fallback: string): RuleOption =>
    options.find((option) => option.flag === flag) ?? { flag, values: [fallback] };
  return [
    given('--on-port', '0'),
    given('--on-ip', family === 'ipv4' ? '0.0.0.0' : '::'),
    given('--tproxy-mark', '0x0/0x0'),
  ];
}

/** Saving and restoring print both masks; `--mask` sets the two at once. */
function connmarkOptions(options: readonly RuleOption[]): readonly RuleOption[] {
  const mode = options.find(
    (option) => option.flag === '--restore-mark' || option.flag === '--save-mark',
  );
  if (mode === undefined) return options;
  const value = (flag: string): readonly string[] =>
    options.find((option) => option.flag === flag || option.flag === '--mask')?.values ?? [
      '0xffffffff',
    ];
  return [
    mode,
    { flag: '--nfmask', values: value('--nfmask') },
    { flag: '--ctmask', values: value('--ctmask') },
  ];
}

function protocolName(protocol: string): string {
  const lower = protocol.toLowerCase();
  return PROTOCOLS.get(lower) ?? lower;
}
