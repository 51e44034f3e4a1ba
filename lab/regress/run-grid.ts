import type { Cell } from './cells.ts';
import type { CellResult } from './results.ts';

export interface GridOptions {
  /** Labs that run at the same time. */
  readonly jobs: number;
  readonly runCell: (cell: Cell, signal: AbortSignal) => Promise<CellResult>;
  readonly onCell?: (result: CellResult) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs all cells, several at a time, and gives their results in the order of the cells. The first
 * fault ends the others and is thrown when all have ended.
 */
export async function runGrid(
  cells: readonly Cell[],
  { jobs, runCell, onCell, signal }: GridOptions,
): Promise<readonly CellResult[]> {
  const results = new Map<Cell, CellResult>();
  const ending = new AbortController();
  const both = AbortSignal.any([ending.signal, ...(signal ? [signal] : [])]);
  // Cells of many scenarios take longest: begun last, they would be waited for alone.
  const left = [...cells].sort((a, b) => weightOf(b) - weightOf(a));
  const work = async (): Promise<void> => {
    for (let cell = left.shift(); cell !== undefined; cell = left.shift()) {
      both.throwIfAborted();
      const result = await runCell(cell, both);
      results.set(cell, result);
      onCell?.(result);
    }
  };
  const workers = Array.from({ length: Math.min(jobs, cells.length) }, () =>
    work().catch((error: unknown) => {
      ending.abort(error);
      throw error;
    }),
  );
  const ended = await Promise.allSettled(workers);
  signal?.throwIfAborted();
  const fault = ended.find(({ status }) => status === 'rejected');
  if (fault?.status === 'rejected') throw ending.signal.reason ?? fault.reason;
  return cells.flatMap((cell) => results.get(cell) ?? []);
}

/** Requests that end by a time-out take seconds, the others milliseconds. */
function weightOf({ topology }: Cell): number {
  const waits = topology.scenarios.filter(({ expect }) => expect.outcome === 'timeout').length;
  return waits * 100 + topology.scenarios.length;
}
