// Bundles the programs of the lab into build/programs: Node 20 runs no TypeScript, and a dozen
// processes must not each pay for a loader.
import { build } from 'esbuild';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OUT = join(ROOT, 'build', 'programs');
const FRESH = `${OUT}.${process.pid}`;

/** Program name → its source: those that a lab starts, whose starting counts. */
const PROGRAMS = {
  cli: 'lab/cli/main.ts',
  supervisor: 'lab/world/supervisor.ts',
  'app-host': 'lab/world/app-host.ts',
  recorder: 'lab/capture/recorder.ts',
  agent: 'dataplane/agent/main.ts',
  ztunnel: 'dataplane/ztunnel/main.ts',
};
const OTHER_PROGRAMS = {
  on: 'lab/cli/on-main.ts',
  'far-end': 'lab/hosts/remote/far-end.ts',
  'bench-load': 'lab/bench/load/generator.ts',
  'bench-app': 'lab/bench/load/app.ts',
};

const sources = [...Object.values(PROGRAMS), ...Object.values(OTHER_PROGRAMS)];
const missing = sources.filter((source) => !existsSync(join(ROOT, source)));
if (missing.length > 0) throw new Error(`Cannot bundle: no file ${missing.join(', ')}`);

mkdirSync(FRESH, { recursive: true });
copyFileSync(join(ROOT, 'scripts', 'load-program.cjs'), join(FRESH, 'load-program.cjs'));
await Promise.all([
  ...Object.entries(PROGRAMS).map(([out, source]) => bundleLoaded(out, source)),
  ...Object.entries(OTHER_PROGRAMS).map(([out, source]) => bundle(out, source)),
]);
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
    ...optionsOf(out, source),
    outExtension: { '.js': '.mjs' },
    // Lazy imports stay files of their own.
    splitting: true,
    format: 'esm',
    // Bundled CommonJS libraries call require and look beside themselves; an ES module has neither.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname;",
    },
  });
}

/**
 * The same as CommonJS, which `load-program.cjs` starts from what V8 has compiled before. That needs a
 * name for each content; and Node's own modules come by require: an import reads all that they export,
 * and so loads what stands behind getters (`node:http` brings the whole of undici).
 */
async function bundleLoaded(out, source) {
  const { metafile } = await build({
    ...optionsOf(out, source),
    entryNames: '[name]-[hash]',
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    define: { 'import.meta.url': '__moduleUrl' },
    metafile: true,
  });
  const code = Object.keys(metafile.outputs).find((path) => path.endsWith('.cjs'));
  const program = `const require = process.getBuiltinModule('module').createRequire(import.meta.url);
const load = require('./load-program.cjs');
await load(import.meta.url, ${JSON.stringify(basename(code))}).finished;
`;
  writeFileSync(join(FRESH, `${out}.mjs`), program);
}

function optionsOf(out, source) {
  return {
    absWorkingDir: ROOT,
    entryPoints: [{ in: source, out }],
    outdir: FRESH,
    bundle: true,
    minifyWhitespace: true,
    minifySyntax: true,
    platform: 'node',
    target: 'node20',
    sourcemap: 'linked',
    logLevel: 'warning',
    // Reports made from source bundle their page by esbuild; the bundle has that page ready.
    external: ['cpu-features', '*.node', 'esbuild'],
  };
}
