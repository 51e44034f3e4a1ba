import type { Probe } from '../mutate/probes.ts';
import type { MutationResult } from '../mutate/run-mutations.ts';
import { ruleKey } from '../mutate/twins.ts';
import { counted } from './text.ts';
import { wrapText } from './wrap.ts';

export interface MutationsTextOptions {
  readonly width: number;
  /** Kinds of traffic that were tried each time. */
  readonly probes: readonly Probe[];
  /** What was found out about the era, beyond single rows. */
  readonly notes?: readonly string[];
}

/** What each rule protects: rule → what breaks without it, one block a mutation. */
export function renderMutations(
  era: string,
  results: readonly MutationResult[],
  options: MutationsTextOptions,
): string {
  const { width, probes, notes = [] } = options;
  const seen = results.filter(({ breaks }) => breaks.length > 0).length;
  const kinds: readonly (readonly [string, (result: MutationResult) => boolean])[] = [
    ['Everything of one sort', ({ kind }) => kind === 'whole'],
    ['Rules removed', ({ kind, change }) => kind === 'rule' && change === 'removed'],
    ['Conditions of rules left out', ({ kind, change }) => kind === 'rule' && change !== 'removed'],
    ['Policy rules and routes', ({ kind }) => kind === 'policy-rule' || kind === 'route'],
    ['Sets of addresses', ({ kind }) => kind === 'address-set'],
    ['Tunnels', ({ kind }) => kind === 'link'],
    ['Kernel settings', ({ kind }) => kind === 'sysctl'],
  ];
  const sections = kinds.flatMap(([title, belongs]) => {
    const rows = results.filter(belongs);
    if (rows.length === 0) return [];
    return [title, ...groupRows(rows).flatMap((group) => renderGroup(group, options)), ''];
  });
  const head =
    `What the rules of era ${era} protect: ${counted(results.length, 'mutation')}, ` +
    `${seen} break something; ${counted(probes.length, 'kind')} of traffic tried each time`;
  const names = Math.max(0, ...probes.map(({ name }) => name.length));
  return [
    wrapText(head, 0, width, 0),
    '',
    ...probes.map(({ name, title }) => wrapText(`${name.padEnd(names)}  ${title}`, 2, width, 4)),
    '',
    ...sections,
    ...(notes.length === 0
      ? []
      : ['Notes', ...notes.map((note) => wrapText(`* ${note}`, 2, width, 4))]),
  ]
    .join('\n')
    .trimEnd();
}

/** Rows of the same rule and change stand together, whichever place and address they are of. */
function groupRows(rows: readonly MutationResult[]): readonly (readonly MutationResult[])[] {
  const groups = new Map<string, MutationResult[]>();
  for (const row of rows) {
    const key = ruleKey(row);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

function renderGroup(
  group: readonly MutationResult[],
  { width }: MutationsTextOptions,
): readonly string[] {
  const [first] = group;
  if (first === undefined) return [];
  const { where, text, change } = first;
  const what = change === 'removed' ? '' : `  → ${change}`;
  return [
    wrapText(`${where}: ${text}${what}`, 2, width, 6),
    ...group.flatMap((row) => renderPlace(row, width)),
  ];
}

function renderPlace(
  { places, breaks, reason, aftermath }: MutationResult,
  width: number,
): readonly string[] {
  const [first = ''] = places;
  const place = places.length === 1 ? first : `in ${places.length} places`;
  if (breaks.length === 0) {
    const why = reason === undefined ? '' : `: ${reason}`;
    return [wrapText(`${place}: nothing seen${why}`, 4, width, 8)];
  }
  const bySight = new Map<string, string[]>();
  for (const { probe, seen } of breaks) {
    const key = seen.join('; ');
    bySight.set(key, [...(bySight.get(key) ?? []), probe]);
  }
  const after = aftermath === undefined ? [] : [wrapText(`${place}: ${aftermath}`, 4, width, 8)];
  const lines = [...bySight].map(([seen, probes]) =>
    wrapText(`${place}: ${probes.join(', ')}: ${seen}`, 4, width, 8),
  );
  return [...lines, ...after];
}
