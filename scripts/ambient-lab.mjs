#!/usr/bin/env node
// The command for machines: like `npm run lab --`, without npm's own lines on stdout.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bootstrap = join(dirname(fileURLToPath(import.meta.url)), 'bootstrap.mjs');
const done = spawnSync(process.execPath, [bootstrap, 'lab', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, INIT_CWD: process.cwd() },
});
process.exitCode = done.status ?? 1;
