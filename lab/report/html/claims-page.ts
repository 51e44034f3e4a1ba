import type { ClaimResult } from '../../claims/run-claims.ts';
import { describeMachine } from '../../hosts/machine.ts';
import type { ClaimRow } from './report-input.ts';
import { aboutMachine, writePage } from './write-page.ts';

/** Writes the results of claims as a page: a row a claim, a column an era. */
export async function writeClaimsPage(
  file: string,
  results: readonly ClaimResult[],
): Promise<void> {
  const rows = new Map<string, ClaimRow>();
  for (const result of results) {
    const { id, statement, source, era, outcome, frames } = result;
    const known = rows.get(id)?.results ?? [];
    const cell = { era, outcome, text: textOf(result), frames };
    rows.set(id, { id, statement, source, results: [...known, cell] });
  }
  await writePage(file, {
    verb: 'claims',
    title: 'What is said about the data plane',
    about: aboutMachine(await describeMachine()),
    claims: { eras: [...new Set(results.map(({ era }) => era))], rows: [...rows.values()] },
  });
}

function textOf({ text, evidence, asExpected, expected, because }: ClaimResult): string {
  const expectation = asExpected
    ? because === undefined
      ? []
      : [`as expected: ${because}`]
    : [`differs from what is recorded: ${expected}`];
  return [text, ...evidence, ...expectation].join('\n');
}
