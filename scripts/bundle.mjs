// Bundles the programs of the lab into build/programs: Node 20 runs no TypeScript, and a dozen
// processes must not each pay for a loader.
import { build } from 'esbuild';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OUT = join(ROOT, 'build', 'programs');
const FRESH = `${OUT}.${process.pid}`;

/** Program name → its source. */
const PROGRAMS = {
  cli: 'lab/cli/main.ts',
  on: 'lab/cli/on-main.ts',
  'far-end': 'lab/hosts/remote/far-end.ts',
  supervisor: 'lab/world/supervisor.ts',
  'app-host': 'lab/world/app-host.ts',
  recorder: 'lab/capture/recorder.ts',
  agent: 'dataplane/agent/main.ts',
  ztunnel: 'dataplane/ztunnel/main.ts',
  'bench-load': 'lab/bench/load/generator.ts',
  'bench-app': 'lab/bench/load/app.ts',
};

const missing = Object.values(PROGRAMS).filter((source) => !existsSync(join(ROOT, source)));
if (missing.length > 0) throw new Error(`Cannot bundle: no file ${missing.join(', ')}`);

mkdirSync(FRESH, { recursive: true });
await Promise.all(Object.entries(PROGRAMS).map(([out, source]) => bundle(out, source)));
// Script and style of HTML reports, for a browser and not for Node.
await build({
  absWorkingDir: ROOT,
  entryPoints: {
    'report-page': 'lab/report/html/browser/main.ts',
    'report-style': 'lab/report/html/page.css',
  },
  outdir: FRESH,
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  logLevel: 'warning',
});
writeFileSync(join(FRESH, '.stamp'), '');
rmSync(OUT, { recursive: true, force: true });
renameSync(FRESH, OUT);

/**
 * Each program by itself: of a library that two share, both would load what either needs. What has
 * to be read is what starting costs, so blanks are left out; names stay, for stack traces.
 */
function bundle(out, source) {
  return build({
    absWorkingDir: ROOT,
    entryPoints: [{ in: source, out }],
    outdir: FRESH,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // Lazy imports stay files of their own.
    splitting: true,
    minifyWhitespace: true,
    minifySyntax: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    logLevel: 'warning',
    // Reports made from source bundle their page by esbuild; the bundle has that page ready.
    external: ['cpu-features', '*.node', 'esbuild'],
    // Bundled CommonJS libraries call require and look beside themselves; an ES module has neither.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname;",
    },
  });
}
