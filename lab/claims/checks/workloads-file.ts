import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClaimWorld } from '../claim-world.ts';

/**
 * The static file that all ztunnels of a lab read, to be replaced whole as often as wished; it is as
 * it was afterwards.
 */
export async function withWorkloadsFile<T>(
  world: ClaimWorld,
  use: (text: string, replace: (text: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const file = join(world.lab.directory, 'workloads.yaml');
  const text = await readFile(file, 'utf8');
  const replace = async (next: string): Promise<void> => {
    await writeFile(`${file}.new`, next, { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  try {
    return await use(text, replace);
  } finally {
    await replace(text);
  }
}
