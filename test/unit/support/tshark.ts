import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What tshark is told of ports that mean nothing to it: `tcp.port==15008,tls`. */
export type DecodeAs = readonly string[];

/** What tshark says of each frame of a capture: one line a frame, fields parted by tabs. */
export async function tsharkFields(
  capture: Buffer,
  fields: readonly string[],
  decodeAs: DecodeAs,
): Promise<readonly string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'ambient-lab-tshark-'));
  try {
    const file = join(directory, 'frames');
    await writeFile(file, capture);
    return await run([
      ...['tshark', '-r', file, '-n', '-T', 'fields', '-E', 'occurrence=a'],
      ...decodeAs.flatMap((each) => ['-d', each]),
      ...fields.flatMap((field) => ['-e', field]),
    ]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function run(argv: readonly string[]): Promise<readonly string[]> {
  const [program = '', ...args] = argv;
  const { stdout } = await promisify(execFile)(program, args, {
    encoding: 'latin1',
    timeout: 120_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout.split('\n').slice(0, -1);
}
