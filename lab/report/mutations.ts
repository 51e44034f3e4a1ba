import type { MutationResult } from '../mutate/run-mutations.ts';
import { wrapText } from './wrap.ts';

export interface MutationsTextOptions {
  readonly width: number;
}

/** What each rule protects: rule → what breaks without it, one block a mutation. */
export function renderMutations(
  era: string,
  results: readonly MutationResult[],
  options: MutationsTextOptions,
): string {
  const seen = results.filter(({ breaks }) => breaks.length > 0).length;
  const kinds: readonly (readonly [string, (result: MutationResult) => boolean])[] = [
    ['Rules removed', ({ kind, change }) => kind === 'rule' && change === 'removed'],
    ['Conditions of rules left out', ({ kind, change }) => kind === 'rule' && change !== 'removed'],
    ['Policy rules and routes', ({ kind }) => kind === 'policy-rule' || kind === 'route'],
    ['Sets of addresses', ({ kind }) => kind === 'address-set'],
    ['Kernel settings', ({ kind }) => kind === 'sysctl'],
  ];
  const sections = kinds.flatMap(([title, belongs]) => {
    const rows = results.filter(belongs);
    return rows.length === 0 ? [] : [title, ...rows.flatMap((row) => renderRow(row, options)), ''];
  });
  return [
    `What the rules of era ${era} protect: ${results.length} mutations, ${seen} break something`,
    '',
    ...sections,
  ]
    .join('\n')
    .trimEnd();
}

function renderRow(result: MutationResult, { width }: MutationsTextOptions): readonly string[] {
  const { where, text, change, places, breaks, reason } = result;
  const what = change === 'removed' ? '' : `  ${change}`;
  const head = wrapText(`${where}: ${text}${what}  (in ${places.length})`, 2, width, 6);
  if (breaks.length === 0) {
    const why = reason === undefined ? '' : `: ${reason}`;
    return [head, wrapText(`→ nothing seen${why}`, 4, width, 6)];
  }
  return [
    head,
    ...breaks.map(({ title, seen }) => wrapText(`→ ${title}: ${seen.join('; ')}`, 4, width, 6)),
  ];
}
