import { hasIpv6 } from '../plan/families.ts';
import type { Plan } from '../plan/plan.ts';
import { inPlace } from '../world/in-place.ts';
import type { Lab } from '../world/lab.ts';

export type IptablesTable = 'nat' | 'mangle' | 'raw';

/** Text that `iptables-restore` takes back, of each family that the lab has. */
export interface SavedTables {
  readonly ipv4: string;
  readonly ipv6?: string;
}

/** Tables of a namespace with their counters. */
export async function saveTables(
  lab: Lab,
  netns: string,
  tables: readonly IptablesTable[],
): Promise<SavedTables> {
  const save = async (program: string): Promise<string> => {
    const all = await inPlace(lab, netns, [program, '-c']);
    return tables.map((table) => tableOf(all, table)).join('');
  };
  const ipv4 = await save('iptables-save');
  return hasIpv6(lab.plan) ? { ipv4, ipv6: await save('ip6tables-save') } : { ipv4 };
}

/** Puts the rules of tables back whose chains are still there, whatever is in them now. */
export async function refillTables(lab: Lab, netns: string, saved: SavedTables): Promise<void> {
  const refill = (text: string): string =>
    text
      .split('\n')
      .filter((line) => !line.startsWith(':'))
      .flatMap((line) => (line.startsWith('*') ? [line, '-F'] : [line]))
      .join('\n');
  const restore = async (program: string, text: string): Promise<void> => {
    const argv = [program, '--noflush', '-c', '-w', '10'] as const;
    if (text !== '') await inPlace(lab, netns, argv, refill(text));
  };
  await restore('iptables-restore', saved.ipv4);
  await restore('ip6tables-restore', saved.ipv6 ?? '');
}

/** Adds the rules of tables to their chains once more. */
export async function appendAgain(lab: Lab, netns: string, saved: SavedTables): Promise<void> {
  const append = async (program: string, text: string): Promise<void> => {
    const lines = text.split('\n').filter((line) => !line.startsWith(':'));
    const argv = [program, '--noflush', '-w', '10'] as const;
    if (text !== '') await inPlace(lab, netns, argv, lines.join('\n'));
  };
  await append('iptables-restore', saved.ipv4);
  await append('ip6tables-restore', saved.ipv6 ?? '');
}

/** Runs the same arguments of iptables for each family of the lab. */
export async function iptablesOf(lab: Lab, netns: string, args: readonly string[]): Promise<void> {
  for (const program of familyPrograms(lab.plan)) {
    await inPlace(lab, netns, [program, '-w', '10', ...args]);
  }
}

/** `iptables`, and `ip6tables` where the lab has IPv6. */
export function familyPrograms(plan: Plan): readonly string[] {
  return hasIpv6(plan) ? ['iptables', 'ip6tables'] : ['iptables'];
}

/** One table of what iptables-save printed; empty when it has no such table. */
function tableOf(text: string, table: string): string {
  const lines = text.split('\n');
  const from = lines.indexOf(`*${table}`);
  if (from < 0) return '';
  return `${lines.slice(from, lines.indexOf('COMMIT', from) + 1).join('\n')}\n`;
}

/** What iptables leaves of its tables, so that the agent makes them as it did at first. */
export async function deleteEmptyTables(lab: Lab, netns: string): Promise<void> {
  const listed = await inPlace(lab, netns, ['nft', 'list', 'tables']).catch(() => '');
  for (const line of listed
    .split('\n')
    .filter((one) => /^table ip6? (nat|mangle|raw)$/.test(one))) {
    const table = line.split(' ') as [string, string, string];
    const text = await inPlace(lab, netns, ['nft', 'list', ...table]);
    const hasMore = /counter|chain (?!PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)/.test(text);
    if (!hasMore) await inPlace(lab, netns, ['nft', 'delete', ...table]);
  }
}
