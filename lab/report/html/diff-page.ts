import type { EraComparison } from '../../compare/compare-eras.ts';
import type { Row } from '../../compare/align-lines.ts';
import { describeMachine } from '../../hosts/machine.ts';
import type { ComparisonRow } from './report-input.ts';
import { aboutMachine, writePage } from './write-page.ts';

/** Writes two eras side by side as a page: a table for each place and part of it. */
export async function writeDiffPage(file: string, comparison: EraComparison): Promise<void> {
  const [left, right] = comparison.eras;
  await writePage(file, {
    verb: 'diff',
    title: `Eras ${left} and ${right}`,
    about: aboutMachine(await describeMachine()),
    comparison: {
      left,
      right,
      sections: comparison.places.flatMap(({ place, sections }) =>
        sections
          .filter(({ rows }) => rows.length > 0)
          .map(({ name, rows }) => ({ title: `${place}: ${name}`, rows: rows.map(rowOf) })),
      ),
    },
  });
}

function rowOf({ kind, left, right }: Row): ComparisonRow {
  return { kind, left, right };
}
