#!/usr/bin/env node
// The command for machines: like `npm run lab --`, without npm's own lines on stdout. No process of
// its own stands between the caller and the lab: signals and exit codes are the lab's.
process.env.INIT_CWD = process.cwd();
process.argv.splice(2, 0, 'lab');
await import('./bootstrap.mjs');
