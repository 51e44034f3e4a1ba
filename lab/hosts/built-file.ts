import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Path of something that set-up puts into `build/`, whether this is a bundle in there or a source;
 * what is not there gets a path that does not exist.
 */
export function builtFile(...parts: readonly string[]): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let at = start; ; at = dirname(at)) {
    const path = join(at, 'build', ...parts);
    if (existsSync(path) || at === dirname(at)) return path;
  }
}
