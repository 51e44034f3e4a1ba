import { readFileSync, writeSync } from 'node:fs';
import { columnChunks } from './columns.ts';
import { dissect } from './dissect.ts';

/**
 * Prints the fields of each frame of one pcapng file as tshark's `-T fields` would:
 * `node columns.mjs <capture.pcapng> [keys.log]`.
 */
export function printColumns([capture, keyLog]: readonly string[]): void {
  if (capture === undefined) throw new TypeError('Usage: columns <capture.pcapng> [keys.log]');
  const dissection = dissect([readFileSync(capture)], keyLog ? readFileSync(keyLog, 'utf8') : '');
  for (const observed of dissection.interfaces) {
    for (const chunk of columnChunks(dissection, observed)) {
      for (let rest = chunk; rest.length > 0;) rest = rest.subarray(writeSync(1, rest));
    }
  }
}

printColumns(process.argv.slice(2));
