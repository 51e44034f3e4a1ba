/**
 * Load generator, run inside a client's network namespace: one process for the whole benchmark, so
 * that its code is warm. Orders (`LoadOrder`) come as lines of JSON on standard input, one after
 * another; it answers on standard output (`LoadReport`) and ends with its input.
 */
import { JsonLines, toJsonLine } from '../../world/json-lines.ts';
import { closedLoad, connectionLoad } from './closed-loop.ts';
import type { LoadOrder, LoadReport } from './load-order.ts';
import { openLoad, type LoadOutcome } from './open-loop.ts';
import { throughputLoad } from './throughput.ts';
import { windowOf } from './window.ts';

const say = (report: LoadReport): void => void process.stdout.write(toJsonLine(report));
const window = windowOf((kind) => say({ kind }));

const lines = new JsonLines();
say({ kind: 'ready' });
for await (const chunk of process.stdin) {
  for (const order of lines.push(chunk as Buffer)) await obey(order as LoadOrder);
}
process.exit(0);

async function obey(order: LoadOrder): Promise<void> {
  try {
    say({ kind: 'result', result: await run(order) });
  } catch (error) {
    say({ kind: 'failed', message: (error as Error).message });
  }
}

function run(order: LoadOrder): Promise<LoadOutcome> {
  switch (order.kind) {
    case 'open-loop':
      return openLoad(order, window);
    case 'closed-loop':
      return closedLoad(order, window);
    case 'new-connections':
      return connectionLoad(order, window);
    case 'throughput':
      return throughputLoad(order, window);
  }
}
