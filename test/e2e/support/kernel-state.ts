import type { Lab } from '../../../lab/world/lab.ts';
import { execIn } from './lab.ts';

/** What the kernel has in a namespace, without what grows (counters) or is new each time (inodes). */
const COMMANDS: readonly string[] = [
  'iptables-save',
  'ip6tables-save',
  'nft -s list ruleset',
  'ip rule',
  'ip -6 rule',
  'ip route show table all',
  'ip -6 route show table all',
  'ip -o addr',
  'ip -o link',
  // Not all details: those of bridges have timers that run.
  'ip -d -o link | grep -o "gso_max_[a-z]* [0-9]*"',
  'ipset save',
  'sysctl -a -r "rp_filter|accept_local|disable_ipv6|ip_forward|src_valid_mark|addr_gen_mode"',
  'ss -H -ltun | awk "{print \\$1, \\$2, \\$5}" | sort',
];

/** All places of a lab, a list of lines each. */
export async function kernelState(lab: Lab): Promise<ReadonlyMap<string, readonly string[]>> {
  const entries = await Promise.all(
    lab.plan.netns.map(async ({ name }) => {
      const script = COMMANDS.map((command) => `echo "== ${command}"; ${command} 2>/dev/null`);
      const { stdout } = await execIn(lab, name, ['sh', '-c', script.join('\n')]);
      return [name, stdout.split('\n').map(normal).filter(isLasting)] as const;
    }),
  );
  return new Map(entries);
}

/** What came, what went and where the order is another, a line each; empty when all is the same. */
export function changesBetween(
  before: ReadonlyMap<string, readonly string[]>,
  after: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  return [...before].flatMap(([place, lines]) => {
    const now = after.get(place) ?? [];
    if (lines.join('\n') === now.join('\n')) return [];
    const changes = [
      ...lines.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
      ...now.filter((line) => !lines.includes(line)).map((line) => `+ ${line}`),
    ];
    const shown = changes.length === 0 ? ['other order or number of lines'] : changes;
    return shown.map((change) => `${place}: ${change}`);
  });
}

function normal(line: string): string {
  return line.replace(/ \[\d+:\d+\]$/, '').replace(/ (valid_lft|preferred_lft) \d+sec/g, '');
}

/** Tables of iptables-legacy that are empty cannot be taken away again; those of nft are listed. */
const EMPTY_TABLE = /^(# .*|\*\w+|:[A-Z]+ ACCEPT.*|COMMIT|)$/;

function isLasting(line: string): boolean {
  return !EMPTY_TABLE.test(line);
}
