// The program that is sent to a bare machine and does there what is asked over SSH: unpack the
// project, run a verb for as long as the connection lives, send results back. It imports nothing but
// Node, so that it runs before anything is installed there.
import { farLeash } from './far-leash.ts';
import { farResults } from './far-results.ts';
import { farRun } from './far-run.ts';
import { farUnpack } from './far-unpack.ts';
import { decodeOrder } from './orders.ts';

const order = decodeOrder(process.argv[2] ?? '');
try {
  switch (order.kind) {
    case 'unpack':
      await farUnpack(order.folder, order.digest, process.stdin);
      break;
    case 'run':
      // Its leash may still be open.
      process.exit(await farRun(order));
      break;
    case 'leash':
      await farLeash(order.socket);
      process.exit();
      break;
    case 'results':
      await farResults(order.folder, order.session);
      break;
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(3);
}
