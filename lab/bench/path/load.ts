/**
 * Load generator, run inside a client's netns. One JSON argument (`LoadOrder`); says `start` when
 * the measured window opens, then one line of JSON (`LoadResult`) when it has closed.
 */
import { connectionLoad } from './load-connections.ts';
import { closedLoad } from './load-closed.ts';
import { holdLoad } from './load-hold.ts';
import { latencyLoad } from './load-latency.ts';
import type { LoadOrder, LoadResult } from './load-order.ts';
import { throughputLoad } from './load-throughput.ts';

const order = JSON.parse(process.argv[2] ?? '{}') as LoadOrder;
const start = (): void => void process.stdout.write('start\n');
const result = await run(order);
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));

function run(order: LoadOrder): Promise<LoadResult> {
  switch (order.kind) {
    case 'latency':
      return latencyLoad(order, start);
    case 'closed':
      return closedLoad(order, start);
    case 'connections':
      return connectionLoad(order, start);
    case 'throughput':
      return throughputLoad(order, start);
    case 'hold':
      return holdLoad(order, start);
  }
}
