import { readFileSync, writeSync } from 'node:fs';
import { columnLines } from './columns.ts';
import { dissect } from './dissect.ts';

const CHUNK_CHARACTERS = 1 << 18;

/**
 * Prints the fields of each frame of one pcapng file as tshark's `-T fields` would:
 * `node columns.mjs <capture.pcapng> [keys.log]`.
 */
export function printColumns([capture, keyLog]: readonly string[]): void {
  if (capture === undefined) throw new TypeError('Usage: columns <capture.pcapng> [keys.log]');
  const dissection = dissect([readFileSync(capture)], keyLog ? readFileSync(keyLog, 'utf8') : '');
  let text = '';
  const flush = (): void => {
    for (let bytes = Buffer.from(text); bytes.length > 0;)
      bytes = bytes.subarray(writeSync(1, bytes));
    text = '';
  };
  for (const observed of dissection.interfaces) {
    for (const line of columnLines(dissection, observed)) {
      text += line;
      if (text.length > CHUNK_CHARACTERS) flush();
    }
  }
  flush();
}

printColumns(process.argv.slice(2));
