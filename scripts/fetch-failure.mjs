// What set-up fetches and can do without is not tried again and again where it cannot be had.
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const RETRY_AFTER_MS = 3_600_000;

/** Whether fetching into this folder failed within the last hour. */
export function failedLately(folder) {
  const file = join(folder, 'failed');
  return existsSync(file) && Date.now() - statSync(file).mtimeMs < RETRY_AFTER_MS;
}

export function rememberFailure(folder, error) {
  writeFileSync(join(folder, 'failed'), `${error.message}\n`);
}

export function forgetFailure(folder) {
  rmSync(join(folder, 'failed'), { force: true });
}
