import type { FrameTable } from './frame-table.ts';
import type { UdpFlow } from './types.ts';

interface OpenFlow extends UdpFlow {
  readonly frames: number[];
  readonly marks: number[];
}

/** Sorts the UDP frames of one interface into flows, both directions together. */
export class UdpTracker {
  readonly #table: FrameTable;
  readonly #flows = new Map<string, OpenFlow>();

  constructor(table: FrameTable) {
    this.#table = table;
  }

  /** In order of their first frame. */
  get flows(): UdpFlow[] {
    return [...new Set(this.#flows.values())];
  }

  add(row: number): void {
    const table = this.#table;
    const a = { address: table.source(row), port: table.sourcePorts[row]! };
    const b = { address: table.destination(row), port: table.destinationPorts[row]! };
    const key = `${a.address} ${a.port} ${b.address} ${b.port}`;
    let flow = this.#flows.get(key);
    if (!flow) {
      flow = { a, b, frames: [], marks: [] };
      this.#flows.set(key, flow);
      this.#flows.set(`${b.address} ${b.port} ${a.address} ${a.port}`, flow);
    }
    flow.frames.push(table.numbers[row]!);
    const mark = table.marks[row]!;
    if (mark !== 0 && !flow.marks.includes(mark)) flow.marks.push(mark);
  }
}
