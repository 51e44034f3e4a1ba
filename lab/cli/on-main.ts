// The program of a machine that only sends: it needs neither Linux, nor root, nor the addon.
import { describeError, exitCodeFor } from './exit.ts';
import { toleratePipes } from './interrupt.ts';
import { takeOnOptions } from './on-options.ts';
import { runOn } from './on.ts';

toleratePipes();
const argv = process.argv.slice(2);
try {
  process.exitCode = await runOn(takeOnOptions(argv), process.env['AMBIENT_LAB_NOT_HERE']);
} catch (error) {
  process.stderr.write(`${describeError(error, argv.includes('--debug'))}\n`);
  process.exitCode = exitCodeFor(error);
}
