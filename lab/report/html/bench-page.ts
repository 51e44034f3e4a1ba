import type { BenchReport } from '../bench.ts';
import { runText } from '../bench-words.ts';
import { aboutMachine, writePage } from './write-page.ts';

/** Writes a benchmark as a page of charts and tables. */
export async function writeBenchPage(file: string, report: BenchReport): Promise<void> {
  const { preset, title, startedAt, machine, programs } = report.run;
  await writePage(file, {
    verb: 'bench',
    title: `Benchmark ${preset}: ${title}`,
    about: [
      { name: 'Run', value: runText(report.run) },
      { name: 'Begun', value: startedAt },
      ...programs.map(({ name, version }) => ({ name, value: version })),
      ...aboutMachine(machine),
    ],
    bench: report,
  });
}
