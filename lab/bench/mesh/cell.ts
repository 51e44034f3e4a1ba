import type { LoadOrder } from '../load/load-order.ts';
import type { Placement } from './bench-plan.ts';

/** One load, as every mode of a run gets it in every round. */
export interface Cell {
  readonly kind: LoadOrder['kind'];
  readonly placement: Placement;
  readonly connections: number;
  /** Requests per second; of an open loop. */
  readonly rate?: number;
}

/** Stable name of a cell: file names, CSV and JSON have it. */
export function cellId({ kind, placement, connections, rate }: Cell): string {
  const pace = rate === undefined ? '' : `-${rate}rps`;
  return `${kind}-${connections}c${pace}-${placement}`;
}

/** The same for people. */
export function cellTitle({ kind, placement, connections, rate }: Cell): string {
  const place = placement === 'other-node' ? 'other node' : 'same node';
  const lanes = `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
  switch (kind) {
    case 'open-loop':
      return `${(rate ?? 0).toLocaleString('en')} requests/s, ${lanes}, ${place}`;
    case 'closed-loop':
      return `saturation, ${lanes}, ${place}`;
    case 'new-connections':
      return `new connections, ${connections} at once, ${place}`;
    case 'throughput':
      return `throughput, ${connections} ${connections === 1 ? 'stream' : 'streams'}, ${place}`;
  }
}

export function isLatency(cell: Cell): cell is Cell & { readonly rate: number } {
  return cell.kind === 'open-loop' && cell.rate !== undefined;
}
